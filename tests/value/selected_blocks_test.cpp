// SPDX-License-Identifier: Apache-2.0
// Blocks of keys that each query and KV head selects: the draw, values and gradients on random shapes, and kernels with one thing wrong.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "sim/value/counter_rng.h"
#include "sim/value/value_run.h"
#include "tests/masks/mask_contract.h"
#include "tests/support/chips.h"
#include "tests/support/mutate.h"
#include "tests/value/lowered_attention.h"
#include "workloads/catalog.h"
#include "workloads/lower.h"
#include "workloads/reference/attention_backward.h"

using namespace attnsim;
using attnsim::test::draw;
using attnsim::test::KernelOn;

namespace {

std::vector<KernelOn> forward_kernels() {
  return {{"nsa-selected-sm80", test::a100()}, {"nsa-selected-sm90", test::h100()}, {"fa2-sm80", test::a100()}, {"fa3-sm90", test::h100()}};
}
std::vector<KernelOn> backward_kernels() {
  return {{"nsa-selected-bwd-sm80", test::a100()},
          {"nsa-selected-bwd-sm90", test::h100()},
          {"fa2-bwd-sm80", test::a100()},
          {"triton-bwd-sm90", test::h100()}};
}

Params random_params(std::mt19937& rng) {
  const std::int64_t fixed = draw(rng, 0, 3);
  return {{"block", std::int64_t{64}}, {"selected", draw(rng, 2, 6)}, {"from", std::string(draw(rng, 0, 1) == 0 ? "past" : "all")},
          {"first", (fixed & 1) != 0}, {"own", (fixed & 2) != 0},     {"lists", std::string(draw(rng, 0, 2) == 0 ? "shared" : "head")},
          {"seed", draw(rng, 1, 1000)}};
}

Problem random_problem(std::mt19937& rng) {
  const std::int64_t kv_heads = draw(rng, 1, 2);
  const std::int64_t kv_len = draw(rng, 1, 330);
  const std::int64_t group = draw(rng, 0, 4) == 0 ? 16 : draw(rng, 1, 4);
  return test::problem(draw(rng, 1, 2), kv_heads * group, kv_heads, {draw(rng, 1, std::min<std::int64_t>(kv_len, 80))}, {kv_len},
                       8 * draw(rng, 1, 5), random_params(rng));
}

std::int64_t number(const Problem& p, const char* name) {
  return std::get<std::int64_t>(p.params.at(name));
}

}  // namespace

TEST_CASE("lists of selected blocks hold what was asked for", "[masks]") {
  std::mt19937 rng(3);
  for (int i = 0; i < 80; ++i) {
    Problem p = random_problem(rng);
    const std::int64_t block = draw(rng, 1, 70);
    p.params["block"] = block;
    const bool past = std::get<std::string>(p.params.at("from")) == "past";
    const std::int64_t q_len = p.q_len_of(0), kv_len = p.kv_len_of(0);
    std::int64_t head = 0;
    for (const HeadMask& m : variant("selected-blocks").masks(p, 0)) {
      REQUIRE(m.first_head == head);
      head += m.heads;
      for (std::int64_t q = 0; q < q_len; ++q) {
        const std::int64_t place = q + kv_len - q_len;
        std::set<std::int64_t> blocks;
        for (std::int64_t k = 0; k < kv_len; ++k) {
          if (m.mask->keeps(q, k)) blocks.insert(k / block);
          if (k > place) REQUIRE_FALSE(m.mask->keeps(q, k));
          // Of a block all keys up to the query's place.
          if (k > 0 && k <= place && k / block == (k - 1) / block) REQUIRE(m.mask->keeps(q, k) == m.mask->keeps(q, k - 1));
        }
        const std::int64_t own = place / block;
        if (std::get<bool>(p.params.at("first"))) REQUIRE(blocks.count(0) == 1);
        if (std::get<bool>(p.params.at("own"))) REQUIRE(blocks.count(own) == 1);
        const auto size = static_cast<std::int64_t>(blocks.size());
        if (past) REQUIRE(size == std::min(number(p, "selected"), own + 1));
        REQUIRE(size <= number(p, "selected") + (past ? 0 : 1));
      }
      if (i % 4 == 0) test::check_contract(*m.mask, rng, 3);
    }
    REQUIRE(head == p.q_heads);
  }
}

TEST_CASE("of lists drawn from all blocks a query keeps the part that lies behind it", "[masks]") {
  // 64 of 256 blocks: a query in block b keeps (b + 1) / 4 of them on average, and 0 in the place of the first.
  Problem p = test::problem(1, 1, 1, {4096}, {4096}, 16,
                            {{"block", std::int64_t{16}}, {"selected", std::int64_t{64}}, {"from", std::string("all")}, {"own", false}});
  const auto masks = variant("selected-blocks").masks(p, 0);
  std::int64_t tiles = 0;
  for (std::int64_t q = 0; q < 4096; ++q) {
    for (const TileRun& run : masks.front().mask->runs({q, q + 1}, 16)) tiles += run.count;
  }
  CHECK(static_cast<double>(tiles) / 4096 == Approx(257.0 / 8).epsilon(0.02));
}

TEST_CASE("kernels of selected blocks agree with the reference on random shapes", "[value]") {
  const auto kernels = forward_kernels();
  std::mt19937 rng(31);
  for (std::size_t i = 0; i < 56; ++i) {
    const KernelOn& k = kernels[i % kernels.size()];
    Problem p = random_problem(rng);
    if (i % 3 == 2 && k.schedule.rfind("nsa", 0) != 0) p.params["block"] = draw(rng, 1, 90);  // blocks that tiles cut
    INFO("sample " << i << " by " << k.schedule << ", " << p.q_len[0] << " x " << p.kv_len[0] << ", heads " << p.q_heads << "/"
                   << p.kv_heads << ", d " << p.head_dim_qk);
    double error = INFINITY;
    REQUIRE_NOTHROW(error = test::largest_error({k.schedule, k.chip, "selected-blocks", p}, i));
    CHECK(error < 1e-9);
  }
}

namespace {

// Gradients by straight loops, and those of a pipeline.
struct Backward {
  Problem p;
  reference::AttentionInputs in;
  std::vector<double> grad_o;
  reference::AttentionOutputs out;
  reference::AttentionGradients wanted;
  reference::Keep keep;

  explicit Backward(const Problem& problem) : p(problem) {
    p.pass = Pass::backward;
    in.batch = p.batch;
    in.q_heads = p.q_heads;
    in.kv_heads = p.kv_heads;
    in.q_len.assign(static_cast<std::size_t>(p.batch), p.q_len[0]);
    in.kv_len.assign(static_cast<std::size_t>(p.batch), p.kv_len[0]);
    in.max_q_len = p.q_len[0];
    in.max_kv_len = p.kv_len[0];
    in.head_dim_qk = p.head_dim_qk;
    in.head_dim_v = p.head_dim_v;
    value::CounterRng rng(17);
    const auto fill = [&](std::int64_t n) {
      std::vector<double> values(static_cast<std::size_t>(n));
      for (double& x : values) x = 2 * rng.symmetric();
      return values;
    };
    in.q = fill(p.batch * p.q_heads * in.max_q_len * p.head_dim_qk);
    in.k = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_qk);
    in.v = fill(p.batch * p.kv_heads * in.max_kv_len * p.head_dim_v);
    grad_o = fill(p.batch * p.q_heads * in.max_q_len * p.head_dim_v);
    keep = test::definition(variant("selected-blocks"), p);
    out = reference::attention(in, keep);
    wanted = reference::attention_backward(in, grad_o, keep);
  }

  // Numbers and bits that masks test.
  void fill_table(value::TensorData& data, const ir::Tensor& t, const ir::Pipeline& pipeline) const {
    if (t.name == "key_column_values0") {
      for (const ir::Node& node : pipeline.nodes()) {
        const auto* kernel = std::get_if<ir::Kernel>(&node.work);
        if (kernel == nullptr || kernel->program.orders.empty()) continue;
        const ir::RowOrder& order = kernel->program.orders.front();
        for (std::int64_t place = 0; place < order.places(); ++place)
          data.at(place / t.cols, 0, place % t.cols) = static_cast<double>(order.row(place));
      }
      return;
    }
    if (t.name == "lists") return;
    const bool by_key = t.name.rfind("key_", 0) == 0;
    REQUIRE(t.name.substr(by_key ? 4 : 6).rfind("bits", 0) == 0);
    const std::int64_t tiles = t.slabs / (p.batch * p.q_heads);
    for (std::int64_t slab = 0; slab < p.batch * p.q_heads; ++slab) {
      for (std::int64_t q = 0; q < in.max_q_len; ++q) {
        for (std::int64_t k = 0; k < in.max_kv_len; ++k) {
          const std::int64_t row = by_key ? k : q;
          const std::int64_t column = by_key ? q : k;
          if (keep(slab / p.q_heads, slab % p.q_heads, q, k)) data.at(slab * tiles + column / t.cols, row, column % t.cols) = 1;
        }
      }
    }
  }

  static double error_of(const value::TensorData& got, const std::vector<double>& wanted) {
    double largest = 1e-3;
    for (const double x : wanted) largest = std::max(largest, std::abs(x));
    double error = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const double e = std::abs(got.values[i] - wanted[i]);
      if (!(e <= error)) error = std::isnan(e) ? INFINITY : e;
    }
    return error / largest;
  }

  [[nodiscard]] double error(const ir::Pipeline& pipeline, std::uint64_t seed) const {
    std::vector<double> lse = out.lse_log2;
    for (double& x : lse) x *= std::log(2.0);
    const std::map<std::string, const std::vector<double>*> known{{"q", &in.q},  {"k", &in.k},  {"v", &in.v},
                                                                  {"o", &out.o}, {"lse", &lse}, {"do", &grad_o}};
    std::vector<value::TensorData> inputs;
    std::map<std::string, ir::TensorId> ids;
    for (std::size_t i = 0; i < pipeline.tensors().size(); ++i) {
      const ir::Tensor& t = pipeline.tensors()[i];
      ids[t.name] = static_cast<ir::TensorId>(i);
      if (t.role != ir::TensorRole::input) continue;
      value::TensorData& to = inputs.emplace_back(t.slabs, t.rows, t.cols);
      const auto found = known.find(t.name);
      if (found != known.end())
        to.values = *found->second;
      else
        fill_table(to, t, pipeline);
    }
    value::ValueRun run(pipeline, std::move(inputs));
    run.run_random({.seed = seed});
    return std::max({error_of(run.tensor(ids.at("dq")), wanted.q), error_of(run.tensor(ids.at("dk")), wanted.k),
                     error_of(run.tensor(ids.at("dv")), wanted.v)});
  }
};

}  // namespace

TEST_CASE("gradients of selected blocks agree with the reference on random shapes", "[value][backward]") {
  const auto kernels = backward_kernels();
  std::mt19937 rng(37);
  for (std::size_t i = 0; i < 52; ++i) {
    const KernelOn& k = kernels[i % kernels.size()];
    const Backward b(random_problem(rng));
    INFO("sample " << i << " by " << k.schedule << ", " << b.p.q_len[0] << " x " << b.p.kv_len[0] << ", heads " << b.p.q_heads << "/"
                   << b.p.kv_heads << ", d " << b.p.head_dim_qk << ", batch " << b.p.batch);
    double error = INFINITY;
    REQUIRE_NOTHROW(error = b.error(lower(variant("selected-blocks"), b.p, load_schedule(k.schedule), k.chip), i));
    CHECK(error < 1e-9);
  }
}

namespace {

Problem one_problem() {
  return test::problem(1, 4, 2, {300}, {300}, 64, {{"selected", std::int64_t{3}}, {"from", std::string("past")}});
}

// Whether values tell, or the run fails.
template <class Error>
bool error_noticed(const Error& error) {
  try {
    return !(error() < 1e-9);
  } catch (const std::exception&) {
    return true;
  }
}

enum class Wrong { dropped, swapped, unmasked };

// One kernel with a visited tile left out or taken for its neighbour.
ir::Pipeline with_wrong_tile(const ir::Pipeline& good, const std::string& name, Wrong what) {
  bool done = false;
  return test::rebuilt(good, [&](ir::Kernel& kernel) {
    if (kernel.name != name) return;
    for (auto tile = kernel.families.front().tiles.rbegin(); !done && tile != kernel.families.front().tiles.rend(); ++tile) {
      if (tile->runs.empty()) continue;
      done = true;
      ir::TripRun& run = tile->runs.front();
      if (what == Wrong::dropped)
        run.count -= 1;
      else
        run.first += run.first > 0 ? -1 : 1;
    }
  });
}

}  // namespace

TEST_CASE("a kernel of selected blocks with one thing wrong changes values", "[value]") {
  for (const KernelOn& k : {KernelOn{"nsa-selected-sm80", test::a100()}, KernelOn{"nsa-selected-sm90", test::h100()}}) {
    INFO(k.schedule);
    const Problem p = one_problem();
    const Variant& v = variant("selected-blocks");
    const ir::Pipeline good = lower(v, p, load_schedule(k.schedule), k.chip);
    const auto error = [&](const ir::Pipeline& pipeline) {
      return error_noticed([&] { return test::largest_error(pipeline, v, p, test::definition(v, p), 1); });
    };
    CHECK_FALSE(error(good));
    for (const Wrong what : {Wrong::dropped, Wrong::swapped}) CHECK(error(with_wrong_tile(good, "attention", what)));
    const auto masks = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.kind == ir::OpKind::compare; });
    REQUIRE_FALSE(masks.empty());
    CHECK(error(test::with_op(good, masks.front(), [](auto& ops, std::size_t i) { ops[i].relation.offset += 7; })));
    // The exchange of row sums between warps: what they read back is what they wrote.
    const auto copies = test::ops_where(good, [](const ir::Program& program, const ir::Op& op) {
      return op.role == "softmax" && op.kind == ir::OpKind::unary && op.fn == ir::Fn::copy &&
             program.tiles[static_cast<std::size_t>(op.out.front())].space == ir::Space::smem;
    });
    REQUIRE(copies.size() == 4);
    for (const test::OpAt& at : {copies[0], copies[2]}) CHECK(error(test::with_op(good, at, test::erase_op)));
  }
}

TEST_CASE("a backward kernel of selected blocks with one thing wrong has wrong gradients", "[value][backward]") {
  for (const KernelOn& k : {KernelOn{"nsa-selected-bwd-sm80", test::a100()}, KernelOn{"nsa-selected-bwd-sm90", test::h100()}}) {
    INFO(k.schedule);
    const Backward b(one_problem());
    const ir::Pipeline good = lower(variant("selected-blocks"), b.p, load_schedule(k.schedule), k.chip);
    const auto error = [&](const ir::Pipeline& pipeline) { return error_noticed([&] { return b.error(pipeline, 1); }); };
    CHECK_FALSE(error(good));
    for (const char* kernel : {"dk_dv", "dq"}) {
      for (const Wrong what : {Wrong::dropped, Wrong::swapped}) CHECK(error(with_wrong_tile(good, kernel, what)));
    }
    // Gathered rows taken as they lie.
    const auto gathers = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.access.order != ir::kNone; });
    REQUIRE(gathers.size() == 4);
    for (const test::OpAt& at : gathers)
      CHECK(error(test::with_op(good, at, [](auto& ops, std::size_t i) { ops[i].access.order = ir::kNone; })));
    // A group's heads taken for tokens.
    const auto packed = test::ops_where(good, [](const ir::Program&, const ir::Op& op) { return op.access.row_group > 1; });
    REQUIRE(packed.size() == 5);
    CHECK(error(test::with_op(good, packed.front(), [](auto& ops, std::size_t i) { ops[i].access.row_group = 1; })));
  }
}
