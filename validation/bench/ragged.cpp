// SPDX-License-Identifier: Apache-2.0
#include "validation/bench/ragged.h"

#include <algorithm>
#include <array>

namespace attnsim::bench {

namespace {

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : state_(seed) {}
  // lowest ... highest, both included.
  std::int64_t between(std::int64_t lowest, std::int64_t highest) {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    x ^= x >> 31;
    return lowest + static_cast<std::int64_t>(x % static_cast<std::uint64_t>(highest - lowest + 1));
  }
  template <class T, std::size_t n>
  T of(const std::array<T, n>& list) {
    return list[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(n) - 1))];
  }

 private:
  std::uint64_t state_;
};

constexpr std::array<const char*, 8> kMasks{"dense", "causal", "window", "causal", "window", "block-sparse", "gna", "dense"};
constexpr std::array<const char*, 3> kDtypes{"bf16", "f16", "f32"};
constexpr std::array<std::int64_t, 5> kGroups{1, 2, 3, 4, 8};
constexpr std::array<int, 8> kHeadDims{64, 128, 64, 128, 32, 80, 96, 40};

void draw_neighbourhood(Draw& draw, Shape& s) {
  const auto dimensions = draw.between(1, 3);
  s.q_len = 1;
  for (std::int64_t i = 0; i < dimensions; ++i) {
    const std::int64_t extent = draw.between(3, dimensions == 1 ? 300 : dimensions == 2 ? 24 : 9);
    s.layout.push_back(extent);
    s.window.push_back(draw.between(1, extent));
    s.stride.push_back(draw.between(1, s.window.back()));
    s.dilation.push_back(1);
    s.q_len *= extent;
  }
  s.kv_len = s.q_len;
}

Shape draw_shape(Draw& draw) {
  Shape s;
  s.mask = draw.of(kMasks);
  s.dtype = draw.of(kDtypes);
  s.batch = draw.between(1, 3);
  s.kv_heads = draw.between(1, 3);
  s.q_heads = s.kv_heads * draw.of(kGroups);
  s.head_dim = draw.of(kHeadDims);
  s.kv_len = draw.between(1, 700);
  const std::int64_t kind = draw.between(0, 3);  // one query, few, as many as keys, any number (also more than keys)
  s.q_len = kind == 0 ? 1 : kind == 1 ? draw.between(1, std::min<std::int64_t>(s.kv_len, 70)) : kind == 2 ? s.kv_len : draw.between(1, 400);
  if (s.mask == "window") {
    s.left = draw.between(-1, 300);
    s.right = draw.between(-1, 100);
  }
  if (s.mask == "block-sparse") {
    s.density = static_cast<double>(draw.between(1, 9)) / 10;
    s.seed = static_cast<std::uint64_t>(draw.between(0, 1000));
  }
  if (s.mask == "gna") draw_neighbourhood(draw, s);
  if (draw.between(0, 5) == 0) s.page = 16 * draw.between(1, 8);
  s.backward = draw.between(0, 5) == 0;
  return s;
}

}  // namespace

std::vector<Shape> ragged_shapes(const Backend& backend, const std::string& kernel, int count, std::uint64_t seed) {
  constexpr int kMostDraws = 20000;
  constexpr double kMostWork = 3e7;  // multiply-adds of one product: the reference takes well below a second
  Draw draw(seed);
  std::vector<Shape> shapes;
  for (int i = 0; i < kMostDraws && static_cast<int>(shapes.size()) < count; ++i) {
    Shape shape = draw_shape(draw);
    const double work = static_cast<double>(shape.batch * shape.q_heads) * static_cast<double>(shape.q_len * shape.kv_len) * shape.head_dim;
    if (work <= kMostWork && backend.refuses(kernel, shape).empty()) shapes.push_back(std::move(shape));
  }
  return shapes;
}

}  // namespace attnsim::bench
