// SPDX-License-Identifier: Apache-2.0
// Host helpers of the CUDA backend: checked calls, device buffers, random inputs, stamps of the SM clock.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace attnsim::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Device memory; `bytes` 0 gives a null pointer.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes) : bytes_(bytes) {
    void* p = nullptr;
    if (bytes > 0) check(cudaMalloc(&p, bytes), "cudaMalloc");
    pointer_.reset(p);
  }
  template <class T>
  static Buffer of(const std::vector<T>& values) {
    Buffer b(values.size() * sizeof(T));
    if (!values.empty()) check(cudaMemcpy(b.pointer_.get(), values.data(), b.bytes_, cudaMemcpyHostToDevice), "copy to the device");
    return b;
  }
  template <class T = void>
  [[nodiscard]] T* get() const {
    return static_cast<T*>(pointer_.get());
  }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  void fill(int byte) const {
    if (bytes_ > 0) check(cudaMemset(pointer_.get(), byte, bytes_), "cudaMemset");
  }
  template <class T>
  [[nodiscard]] std::vector<T> values() const {
    std::vector<T> v(bytes_ / sizeof(T));
    if (!v.empty()) check(cudaMemcpy(v.data(), pointer_.get(), v.size() * sizeof(T), cudaMemcpyDeviceToHost), "copy from the device");
    return v;
  }

 private:
  struct Free {
    void operator()(void* p) const { cudaFree(p); }
  };
  std::unique_ptr<void, Free> pointer_;
  std::size_t bytes_ = 0;
};

// Standard normal numbers, a function of (seed, index) alone.
void fill_normal(const Buffer& buffer, std::size_t count, bool bf16, std::uint64_t seed, cudaStream_t stream);

// One stamp per SM: its cycle counter and the global timer, read one after the other. Two sets of stamps around a region give the SM
// clock in it without taking part in it.
struct ClockStamp {
  std::int64_t cycles = 0;
  std::int64_t nanoseconds = 0;
};
class ClockStamps {
 public:
  explicit ClockStamps(int sms);
  void before(cudaStream_t stream) const;
  void after(cudaStream_t stream) const;
  // Mean over the SMs that have both stamps, after the stream has drained; 0 if there is none.
  [[nodiscard]] double megahertz() const;

 private:
  int sms_;
  Buffer before_, after_;
};

}  // namespace attnsim::cuda
