// SPDX-License-Identifier: Apache-2.0
// A vector whose first N elements lie inside it, for the many short lists of a large pipeline: no allocation as long as they suffice.
// boost::container::small_vector of Boost 1.74 makes g++ 12 warn of overruns that it does not have, and warnings are errors here.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <vector>

namespace attnsim {

template <class T, std::size_t N>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;
  using reference = T&;
  using const_reference = const T&;
  using size_type = std::size_t;

  SmallVector() = default;
  SmallVector(std::initializer_list<T> values) {
    for (const T& value : values) push_back(value);
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] T* data() { return size_ <= N ? inside_.data() : outside_.data(); }
  [[nodiscard]] const T* data() const { return size_ <= N ? inside_.data() : outside_.data(); }
  [[nodiscard]] T* begin() { return data(); }
  [[nodiscard]] T* end() { return data() + size_; }
  [[nodiscard]] const T* begin() const { return data(); }
  [[nodiscard]] const T* end() const { return data() + size_; }
  [[nodiscard]] auto rbegin() const { return std::reverse_iterator<const T*>(end()); }
  [[nodiscard]] auto rend() const { return std::reverse_iterator<const T*>(begin()); }
  [[nodiscard]] T& operator[](std::size_t i) { return data()[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return data()[i]; }
  [[nodiscard]] T& front() { return *begin(); }
  [[nodiscard]] const T& front() const { return *begin(); }
  [[nodiscard]] T& back() { return end()[-1]; }
  [[nodiscard]] const T& back() const { return end()[-1]; }

  void reserve(std::size_t elements) {
    if (elements > N) outside_.reserve(elements);
  }
  void push_back(const T& value) {
    if (size_ < N) {
      inside_[size_++] = value;
    } else {
      push_outside(value);
    }
  }
  void push_front(const T& value) {
    push_back(value);
    std::rotate(begin(), end() - 1, end());
  }
  void clear() {
    size_ = 0;
    outside_.clear();
  }

 private:
  [[gnu::noinline]] void push_outside(T value) {
    if (size_ == N) outside_.assign(inside_.begin(), inside_.end());
    outside_.push_back(value);
    ++size_;
  }

  std::array<T, N> inside_{};
  std::vector<T> outside_;  // all of them, where they are more than N
  std::size_t size_ = 0;
};

}  // namespace attnsim
