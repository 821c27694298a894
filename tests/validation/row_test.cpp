// SPDX-License-Identifier: Apache-2.0
#include "validation/row.h"

#include <catch2/catch.hpp>

#include "validation/file_formats.h"

using namespace attnsim;

TEST_CASE("kept pairs equal counting them one by one") {
  const auto q = GENERATE(1, 2, 5, 9);
  const auto kv = GENERATE(1, 4, 9, 16);
  const auto window = GENERATE(0, 1, 3, 40);
  double full = 0, causal = 0, windowed = 0;
  for (std::int64_t i = 0; i < q; ++i) {
    for (std::int64_t k = 0; k < kv; ++k) {
      const std::int64_t distance = i + kv - q - k;  // keys that lie behind the query
      full += 1;
      if (distance >= 0) causal += 1;
      if (distance >= 0 && distance < window) windowed += 1;
    }
  }
  CHECK(kept_pairs(MaskKind::full, q, kv, 0) == full);
  CHECK(kept_pairs(MaskKind::causal, q, kv, 0) == causal);
  if (window > 0) CHECK(kept_pairs(MaskKind::causal_window, q, kv, window) == windowed);
}

TEST_CASE("the split of a row depends on its problem, not on its time or place, and halves the rows") {
  MeasuredRow row;
  row.file = "f.csv";
  row.kernel = "k";
  int calibration = 0;
  const int rows = 2000;
  for (int i = 0; i < rows; ++i) {
    row.q_len = row.kv_len = i + 1;
    row.shape = shape_label(row);
    const Split side = split_of(row);
    MeasuredRow again = row;
    again.measured_us = 99;
    again.line = 7;
    again.id = "x";
    REQUIRE(split_of(again) == side);
    REQUIRE(side != Split::all);
    if (side == Split::calibration) ++calibration;
  }
  CHECK(std::abs(calibration - rows / 2) < 4 * std::sqrt(rows / 4.0));  // four standard deviations of a fair coin
}

TEST_CASE("the split never changes: recorded sides of two problems") {
  // Written down by hand from the definition: FNV-1a of the identity text, mixed, lowest bit.
  const auto side = [](const std::string& text) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) {
      hash ^= static_cast<unsigned char>(c);
      hash *= 1099511628211ULL;
    }
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdULL;
    hash ^= hash >> 33;
    return hash % 2 == 0 ? Split::calibration : Split::test;
  };
  MeasuredRow row;
  row.file = "f.csv";
  row.device = "d";
  row.library = "l";
  row.kernel = "k";
  row.phase = "prefill";
  row.dtype = "bf16";
  for (const char* shape : {"a", "b", "c", "d", "e", "f"}) {
    row.shape = shape;
    CHECK(split_of(row) == side(std::string("f.csv|d|l|k|prefill||bf16|") + shape));
  }
}
