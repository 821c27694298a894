// SPDX-License-Identifier: Apache-2.0
#include "validation/host/kernels.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <vector>

using namespace attnsim::host;

namespace {

std::vector<const Kernels*> all_kernels() {
  std::vector<const Kernels*> list;
  for (const char* isa : {"portable", "avx2", "avx512"}) {
    if (const Kernels* kernels = kernels_named(isa)) list.push_back(kernels);
  }
  return list;
}

std::vector<float> pattern(std::size_t count, int seed) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(static_cast<int>((i * 7919 + static_cast<std::size_t>(seed) * 104729) % 201) - 100) / 100;
  return out;
}

constexpr int kKeys = 64;
constexpr int kDim = 40;  // no multiple of a block
constexpr std::size_t kStride = 57;

}  // namespace

TEST_CASE("panels hold K transposed and V in order - what is missing is zero") {
  const std::vector<float> source = pattern(kKeys * kStride, 1);
  constexpr int kValid = 37;
  for (const Kernels* k : all_kernels()) {
    INFO(k->isa);
    const int cols = k->block_cols;
    std::vector<float> transposed(kKeys * kDim, NAN);
    k->pack_transposed(source.data(), kStride, kValid, kKeys, kDim, transposed.data());
    const int blocks = (kDim + cols - 1) / cols;
    std::vector<float> copied(static_cast<std::size_t>(blocks * cols * kKeys), NAN);
    k->pack(source.data(), kStride, kValid, kKeys, kDim, copied.data());
    for (int key = 0; key < kKeys; ++key) {
      for (int d = 0; d < blocks * cols; ++d) {
        const float expected = key < kValid && d < kDim ? source[static_cast<std::size_t>(key) * kStride + static_cast<std::size_t>(d)] : 0;
        REQUIRE(copied[static_cast<std::size_t>((d / cols * kKeys + key) * cols + d % cols)] == expected);
        if (d < kDim) REQUIRE(transposed[static_cast<std::size_t>((key / cols * kDim + d) * cols + key % cols)] == expected);
      }
    }
  }
}

TEST_CASE("a product agrees with sums in double and adds where it accumulates") {
  const std::vector<float> b = pattern(kKeys * kStride, 2);
  constexpr int kRows = 24;
  const std::vector<float> a = pattern(kRows * kStride, 3);
  for (const Kernels* k : all_kernels()) {
    INFO(k->isa);
    std::vector<float> panels(kKeys * kDim);
    k->pack_transposed(b.data(), kStride, kKeys, kKeys, kDim, panels.data());
    std::vector<float> c(kRows * kKeys, NAN);
    k->product(a.data(), kStride, kRows, kDim, panels.data(), kKeys, c.data(), kKeys, false);
    k->product(a.data(), kStride, kRows, kDim, panels.data(), kKeys, c.data(), kKeys, true);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t key = 0; key < kKeys; ++key) {
        double sum = 0;
        for (std::size_t d = 0; d < kDim; ++d) sum += static_cast<double>(a[r * kStride + d]) * static_cast<double>(b[key * kStride + d]);
        REQUIRE(static_cast<double>(c[r * kKeys + key]) == Approx(2 * sum).margin(1e-5));
      }
    }
  }
}

TEST_CASE("the polynomial exp2 stays within its stated error") {
  constexpr std::size_t kCount = 1 << 14;
  for (const Kernels* k : all_kernels()) {
    INFO(k->isa);
    // Weights of a row whose maximum is 0: exp2(x) itself.
    std::vector<float> x(kCount);
    for (std::size_t i = 0; i < kCount; ++i) x[i] = -120.0F * static_cast<float>(i) / static_cast<float>(kCount);
    std::vector<float> p = x;
    float m = -INFINITY;
    float l = 0;
    float alpha = 0;
    k->softmax(p.data(), kCount, 1, static_cast<int>(kCount), 1.0F, &m, &l, &alpha);
    double worst = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      const double expected = std::exp2(static_cast<double>(x[i]));
      worst = std::max(worst, std::abs(static_cast<double>(p[i]) / expected - 1));
    }
    CHECK(worst < kExp2Error);
    CHECK(worst > 1e-9);  // a comparison with itself would pass anything
    CHECK(m == 0.0F);
  }
}

TEST_CASE("online softmax over two tiles equals the softmax over both") {
  constexpr int kCols = 64;
  const std::vector<float> scores = pattern(2 * kCols, 5);
  for (const Kernels* k : all_kernels()) {
    INFO(k->isa);
    std::vector<float> tile(scores.begin(), scores.begin() + kCols);
    std::vector<float> next(scores.begin() + kCols, scores.end());
    next[3] = -std::numeric_limits<float>::infinity();  // masked
    float m = -std::numeric_limits<float>::infinity();
    float l = 0;
    float alpha = 0;
    constexpr float kScale = 3.0F;
    k->softmax(tile.data(), kCols, 1, kCols, kScale, &m, &l, &alpha);
    k->softmax(next.data(), kCols, 1, kCols, kScale, &m, &l, &alpha);
    double most = -1e9;
    for (std::size_t i = 0; i < 2 * kCols; ++i) {
      if (i != kCols + 3) most = std::max(most, static_cast<double>(scores[i]));
    }
    double sum = 0;
    for (std::size_t i = 0; i < 2 * kCols; ++i) {
      if (i != kCols + 3) sum += std::exp2((static_cast<double>(scores[i]) - most) * 3.0);
    }
    CHECK(static_cast<double>(m) == most);
    CHECK(static_cast<double>(l) == Approx(sum).epsilon(1e-6));
    CHECK(next[3] < 1e-30F);
  }
}

TEST_CASE("decode's products agree with sums in double, for any number of rows") {
  constexpr int kValid = 61;
  const std::vector<float> kv = pattern(kKeys * kStride, 6);
  for (const Kernels* k : all_kernels()) {
    for (const int rows : {1, 2, 3, 4, 7, 8}) {
      INFO(k->isa << ", " << rows << " rows");
      const auto count = static_cast<std::size_t>(rows);
      const std::vector<float> q = pattern(count * kDim, 7);
      std::vector<float> s(count * kKeys, NAN);
      k->scores(q.data(), rows, kDim, kv.data(), kStride, kValid, kKeys, s.data(), kKeys, nullptr);
      std::vector<float> o(count * kDim, 1.0F);
      k->values(s.data(), kKeys, rows, kv.data(), kStride, kValid, kDim, o.data(), kDim, nullptr);
      for (std::size_t r = 0; r < count; ++r) {
        std::vector<double> expected(kDim, 1.0);
        for (std::size_t key = 0; key < kValid; ++key) {
          double dot = 0;
          for (std::size_t d = 0; d < kDim; ++d) dot += static_cast<double>(q[r * kDim + d]) * static_cast<double>(kv[key * kStride + d]);
          REQUIRE(static_cast<double>(s[r * kKeys + key]) == Approx(dot).margin(1e-5));
          for (std::size_t d = 0; d < kDim; ++d) expected[d] += dot * static_cast<double>(kv[key * kStride + d]);
        }
        for (std::size_t d = 0; d < kDim; ++d) REQUIRE(static_cast<double>(o[r * kDim + d]) == Approx(expected[d]).margin(1e-4));
      }
    }
  }
}
