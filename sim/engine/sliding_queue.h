// SPDX-License-Identifier: Apache-2.0
// A queue in the order that its user keeps. What comes in is mostly the last or near it, so it is moved in from the back; the whole slides
// along an array, whose storage stays, and returns to its start now and then.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace attnsim {

template <class T>
class SlidingQueue {
 public:
  explicit SlidingQueue(std::size_t places = 4) : places_(places * 8 + 8) {}

  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const { return end_ - begin_; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return places_[begin_ + i]; }
  [[nodiscard]] const T& top() const { return places_[begin_]; }
  void clear() { begin_ = end_ = 0; }
  void pop() { ++begin_; }

  // The place of one that comes before those that the argument says, to be filled in: member by member, since what has just been
  // written in parts can't be copied as a whole without waiting for the stores.
  template <class Before>
  [[nodiscard]] T& place_before(Before&& comes_before) {
    if (end_ == places_.size()) make_room();
    std::size_t hole = end_++;
    for (; hole > begin_ && comes_before(places_[hole - 1]); --hole) places_[hole] = places_[hole - 1];
    return places_[hole];
  }
  // The same of one that comes before all others.
  [[nodiscard]] T& first_place() {
    if (begin_ > 0) return places_[--begin_];
    return place_before([](const T&) { return true; });
  }

 private:
  [[gnu::noinline]] void make_room() {  // so that what is called all the time keeps its registers
    if (2 * size() > places_.size()) places_.resize(2 * places_.size());
    std::copy(places_.begin() + static_cast<std::ptrdiff_t>(begin_), places_.begin() + static_cast<std::ptrdiff_t>(end_), places_.begin());
    end_ -= begin_;
    begin_ = 0;
  }

  std::vector<T> places_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace attnsim
