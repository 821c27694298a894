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
  explicit SlidingQueue(std::size_t places = 4) : places_(places * 8 + 8) { reset(); }
  SlidingQueue(const SlidingQueue&) = delete;
  SlidingQueue& operator=(const SlidingQueue&) = delete;
  SlidingQueue(SlidingQueue&&) = default;
  SlidingQueue& operator=(SlidingQueue&&) = default;

  [[nodiscard]] bool empty() const { return begin_ == end_; }
  [[nodiscard]] std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
  [[nodiscard]] const T& operator[](std::size_t i) const { return begin_[i]; }
  [[nodiscard]] const T& top() const { return *begin_; }
  void clear() { reset(); }
  void pop() { ++begin_; }

  // The place of one that comes before those that the argument says, to be filled in: member by member, since what has just been
  // written in parts can't be copied as a whole without waiting for the stores.
  template <class Before>
  [[nodiscard]] T& place_before(Before&& comes_before) {
    if (end_ == limit_) make_room();
    T* hole = end_++;
    for (; hole != begin_ && comes_before(hole[-1]); --hole) *hole = hole[-1];
    return *hole;
  }
  // The same of one that comes before all others.
  [[nodiscard]] T& first_place() {
    if (begin_ != places_.data()) return *--begin_;
    return place_before([](const T&) { return true; });
  }

 private:
  void reset() {
    begin_ = end_ = places_.data();
    limit_ = begin_ + places_.size();
  }
  [[gnu::noinline]] void make_room() {  // so that what is called all the time keeps its registers
    const std::size_t held = size();
    if (2 * held > places_.size()) {
      std::vector<T> wider(2 * places_.size());
      std::copy(begin_, end_, wider.begin());
      places_.swap(wider);
    } else {
      std::copy(begin_, end_, places_.begin());
    }
    reset();
    end_ += held;
  }

  std::vector<T> places_;
  T* begin_ = nullptr;
  T* end_ = nullptr;
  T* limit_ = nullptr;  // behind the last place
};

}  // namespace attnsim
