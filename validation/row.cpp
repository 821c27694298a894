// SPDX-License-Identifier: Apache-2.0
#include "validation/row.h"

#include <fmt/format.h>

#include <algorithm>

namespace attnsim {

namespace {

// FNV-1a with a final mix: the low bit of FNV alone is the parity of the text's low bits.
std::uint64_t mixed_hash(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdULL;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace

double element_bytes(const std::string& dtype) {
  return dtype.find("fp8") != std::string::npos ? 1.0 : 2.0;
}

double kept_pairs(MaskKind mask, std::int64_t q_len, std::int64_t kv_len, std::int64_t window) {
  const auto q = static_cast<double>(q_len);
  const auto kv = static_cast<double>(kv_len);
  if (mask == MaskKind::full || mask == MaskKind::other) return q * kv;
  // Query i (from 1) sees kv - q + i keys, at least 0; a window cuts this to `window`.
  const auto triangle = [](double n) { return n > 0 ? n * (n + 1) / 2 : 0.0; };
  const double causal = triangle(kv) - triangle(kv - q);
  if (mask == MaskKind::causal || window <= 0) return causal;
  const double w = static_cast<double>(window);
  const double beyond = triangle(kv - w) - triangle(std::max(kv - q, 0.0) - w);
  return causal - beyond;
}

double attention_flops(const MeasuredRow& row, double factor) {
  const double pairs = row.density && row.mask == MaskKind::other ? *row.density * kept_pairs(MaskKind::full, row.q_len, row.kv_len, 0)
                                                                  : kept_pairs(row.mask, row.q_len, row.kv_len, row.window);
  return factor * 2.0 * static_cast<double>(row.batch * row.q_heads) * pairs * static_cast<double>(row.head_dim_qk + row.head_dim_v);
}

double attention_bytes(const MeasuredRow& row, double bytes_per_element) {
  const std::int64_t keys = row.window > 0 ? std::min(row.kv_len, row.window + row.q_len - 1) : row.kv_len;
  const double query_side = static_cast<double>(row.q_heads) * static_cast<double>(row.q_len);
  const double key_side = static_cast<double>(row.kv_heads) * static_cast<double>(keys);
  const double both = static_cast<double>(row.head_dim_qk + row.head_dim_v);
  const double key_width = row.v_in_k ? static_cast<double>(row.head_dim_qk) : both;
  return bytes_per_element * static_cast<double>(row.batch) * (query_side * both + key_side * key_width);
}

std::string shape_label(const MeasuredRow& row) {
  std::string text = fmt::format("{}x{}/{} q{} kv{} d{}", row.batch, row.q_heads, row.kv_heads, row.q_len, row.kv_len, row.head_dim_qk);
  if (row.head_dim_v != row.head_dim_qk) text += fmt::format("/{}", row.head_dim_v);
  if (!row.mask_name.empty()) text += " " + row.mask_name;
  if (row.window > 0) text += fmt::format(" w{}", row.window);
  return text;
}

Split split_of(const MeasuredRow& row) {
  const std::string identity =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", row.file, row.device, row.library, row.kernel, row.phase, row.set, row.dtype, row.shape);
  return (mixed_hash(identity) & 1U) == 0 ? Split::calibration : Split::test;
}

}  // namespace attnsim
