// SPDX-License-Identifier: Apache-2.0
#include "validation/host/attention.h"

#include <catch2/catch.hpp>
#include <set>

#include "validation/bench/backend.h"
#include "validation/bench/ragged.h"

using namespace attnsim;
using namespace attnsim::host;

namespace {

bench::Shape shape(std::int64_t q_len, std::int64_t kv_len, const char* mask) {
  bench::Shape s;
  s.dtype = "f32";
  s.head_dim = 64;
  s.q_len = q_len;
  s.kv_len = kv_len;
  s.mask = mask;
  return s;
}

}  // namespace

TEST_CASE("masks end at the last key for the last query") {
  // 4 queries, 10 keys: the last query sees all of them, the first the first seven.
  const bench::Shape causal = shape(4, 10, "causal");
  CHECK(visible_keys(causal, 0).end == 7);
  CHECK(visible_keys(causal, 3).end == 10);
  bench::Shape window = shape(4, 10, "window");
  window.left = 2;
  window.right = 1;
  CHECK(visible_keys(window, 0).begin == 4);
  CHECK(visible_keys(window, 0).end == 8);
  CHECK(visible_keys(window, 3).end == 10);
  // More queries than keys: the first see nothing.
  CHECK(visible_keys(shape(5, 3, "causal"), 0).end == 0);
}

TEST_CASE("host kernels agree with the reference on ragged shapes, with one thread and with more than there are cores") {
  for (const int threads : {1, 3}) {
    std::string why_not;
    const auto backend = bench::make_host_backend(threads, why_not);
    REQUIRE(backend);
    for (const bench::KernelInfo& kernel : backend->kernels()) {
      const auto shapes = bench::ragged_shapes(*backend, kernel.name, 15, 11);
      CHECK(shapes.size() == 15);
      std::set<std::string> masks;
      std::uint64_t seed = 100;
      for (const bench::Shape& s : shapes) {
        const bench::Check check = backend->check(kernel.name, s, seed++);
        INFO(kernel.name << " " << s.batch << "x" << s.q_heads << "/" << s.kv_heads << " q" << s.q_len << " kv" << s.kv_len << " d"
                         << s.head_dim << " " << s.mask << " " << check.worst);
        CHECK(check.passed);
        CHECK(check.tolerance < 1e-4);
        masks.insert(s.mask);
      }
      CHECK(masks.size() >= 3);
    }
  }
}

TEST_CASE("long decode is split over free threads and merged") {
  bench::Shape s = shape(1, 4096 + 77, "dense");
  s.q_heads = 8;
  s.kv_heads = 2;
  CHECK(decode_splits(s, 2) == 1);  // two row tiles keep both threads busy
  CHECK(decode_splits(s, 8) == 4);
  s.kv_len = 600;
  CHECK(decode_splits(s, 64) == 2);  // one per 512 keys
  std::string why_not;
  const auto backend = bench::make_host_backend(8, why_not);
  s.kv_len = 4096 + 77;
  for (int repeat = 0; repeat < 3; ++repeat) CHECK(backend->check("host-decode", s, 5).passed);
}

TEST_CASE("block-sparse lists keep the first tile and about the asked part of the others") {
  bench::Shape s = shape(96 * 40, 128 * 40, "block-sparse");
  s.density = 0.3;
  s.seed = 9;
  int kept = 0;
  for (int q = 0; q < 40; ++q) {
    CHECK(keeps_tile(s, q, 0));
    for (int kv = 1; kv < 40; ++kv) kept += keeps_tile(s, q, kv) ? 1 : 0;
  }
  CHECK(kept > 0.25 * 40 * 39);
  CHECK(kept < 0.35 * 40 * 39);
}

TEST_CASE("what a kernel does not know it refuses") {
  std::string why_not;
  const auto backend = bench::make_host_backend(1, why_not);
  bench::Shape s = shape(64, 64, "dense");
  CHECK(backend->refuses("host-fa", s).empty());
  CHECK_FALSE(backend->refuses("host-decode", s).empty());
  s.dtype = "bf16";
  CHECK_FALSE(backend->refuses("host-fa", s).empty());
  s = shape(64, 64, "gna");
  CHECK_FALSE(backend->refuses("host-fa", s).empty());
  CHECK_FALSE(backend->refuses("host-xyz", shape(64, 64, "dense")).empty());
}

TEST_CASE("every worker of a pool runs once per call") {
  Pool pool(4);
  std::vector<int> runs(4, 0);
  for (int i = 0; i < 500; ++i) pool.run([&](int worker) { ++runs[static_cast<std::size_t>(worker)]; });
  for (const int count : runs) CHECK(count == 500);
}
