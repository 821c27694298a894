// SPDX-License-Identifier: Apache-2.0
// What must hold for both engines on any kernel and chip: conservation, determinism, and names and orders that do not matter.
#include <array>
#include <catch2/catch.hpp>
#include <thread>

#include "sim/bounds/bounds.h"
#include "sim/engine/engine.h"
#include "tests/agreement/corpus.h"
#include "tests/support/random_pipeline.h"

using namespace attnsim;

namespace {

constexpr std::uint64_t kSamples = 40;
constexpr double kRounding = 1e-9;
constexpr EngineKind kEngines[] = {EngineKind::detailed, EngineKind::fast};

Simulation played(const ir::Pipeline& pipeline, const Chip& chip, const Conditions& conditions, EngineKind kind) {
  EngineOptions options;
  options.kind = kind;
  return simulate(pipeline, chip, conditions, options);
}

Simulation played(const test::Sample& sample, EngineKind kind) {
  return played(sample.pipeline, sample.chip, sample.conditions, kind);
}

// Everything that a user can see of a kernel, compared bit for bit.
void check_same(const Simulation& a, const Simulation& b) {
  CHECK(a.time_us == b.time_us);
  CHECK(a.energy_j == b.energy_j);
  REQUIRE(a.kernels.size() == b.kernels.size());
  for (std::size_t k = 0; k < a.kernels.size(); ++k) {
    const KernelResult& x = a.kernels[k];
    const KernelResult& y = b.kernels[k];
    CHECK(x.time_us == y.time_us);
    CHECK(x.l2_hit_rate == y.l2_hit_rate);
    CHECK(x.counts.hbm_bytes == y.counts.hbm_bytes);
    CHECK(x.counts.l2_bytes == y.counts.l2_bytes);
    CHECK(x.limiter == y.limiter);
    REQUIRE(x.resources.size() == y.resources.size());
    for (std::size_t r = 0; r < x.resources.size(); ++r) {
      CHECK(x.resources[r].busy_fraction == y.resources[r].busy_fraction);
      CHECK(x.resources[r].idle_fraction == y.resources[r].idle_fraction);
    }
  }
}

using TensorOrder = std::vector<ir::TensorId>;  // new place -> old id

// The same pipeline with every name replaced and its tensors in another order.
ir::Pipeline relabelled(const ir::Pipeline& pipeline, const TensorOrder& order) {
  ir::PipelineBuilder builder("another name");
  std::vector<ir::TensorId> place(order.size(), 0);
  for (std::size_t i = 0; i < order.size(); ++i) {
    ir::Tensor tensor = pipeline.tensors()[static_cast<std::size_t>(order[i])];
    tensor.name = "tensor " + std::to_string(i);
    place[static_cast<std::size_t>(order[i])] = builder.tensor(tensor);
  }
  for (const ir::Node& node : pipeline.nodes()) {
    ir::Kernel kernel = std::get<ir::Kernel>(node.work);
    kernel.name = "kernel";
    for (std::size_t i = 0; i < kernel.program.tokens.size(); ++i) kernel.program.tokens[i].name = "token " + std::to_string(i);
    for (std::size_t i = 0; i < kernel.program.tiles.size(); ++i) kernel.program.tiles[i].name = "tile " + std::to_string(i);
    for (ir::Agent& agent : kernel.program.agents) {
      agent.name = "agent";
      for (auto& section : agent.sections) {
        for (ir::Op& op : section) {
          if (op.access.tensor != ir::kNone) op.access.tensor = place[static_cast<std::size_t>(op.access.tensor)];
        }
      }
    }
    builder.add(std::move(kernel), node.stream);
  }
  return builder.build();
}

}  // namespace

TEST_CASE("both engines do the arithmetic and move the bytes that the closed forms count") {
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    const Bounds bounds = compute_bounds(sample.pipeline, sample.chip, sample.conditions);
    for (const EngineKind kind : kEngines) {
      const Simulation s = played(sample, kind);
      double flops = 0;
      double exps = 0;
      double l2 = 0;
      for (const KernelResult& k : s.kernels) {
        flops += k.counts.tensor_flops;
        exps += k.counts.exp_count;
        l2 += k.counts.l2_bytes;
      }
      INFO("seed " << seed << " " << sample.text << (kind == EngineKind::fast ? ", fast" : ", detailed"));
      CHECK(flops == Approx(bounds.counts.tensor_flops));
      // Closed forms give every CTA the work of the group's last one; only that one does it in the machine, none of it in `fast`.
      const bool last_cta = sample.text.find("lastcta") != std::string::npos;
      CHECK(exps <= bounds.counts.exp_count * (1 + kRounding));
      CHECK(exps >= bounds.counts.exp_count * (last_cta ? 0.95 : 1 - kRounding));
      // Scores that a kernel stores are whole tiles in the engine, valid columns in the closed form.
      const bool scores = sample.text.find("unfused") != std::string::npos || sample.text.find("pytorch") != std::string::npos;
      CHECK(l2 >= bounds.counts.l2_bytes * (last_cta ? 0.95 : 1 - kRounding));
      CHECK(l2 <= bounds.counts.l2_bytes * (scores ? 1.5 : 1 + kRounding));
    }
  }
}

TEST_CASE("no resource is busy for more than all the time and the reasons of each sum to one") {
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    for (const EngineKind kind : kEngines) {
      const Simulation s = played(sample, kind);
      INFO("seed " << seed << " " << sample.text << (kind == EngineKind::fast ? ", fast" : ", detailed"));
      for (const KernelResult& k : s.kernels) {
        CHECK(k.l2_hit_rate >= 0);
        CHECK(k.l2_hit_rate <= 1);
        for (const ResourceUse& use : k.resources) {
          double sum = use.busy_fraction;
          for (const auto& [reason, fraction] : use.idle_fraction) {
            CHECK(fraction >= -1e-12);
            sum += fraction;
          }
          CHECK(use.busy_fraction <= 1);
          CHECK(sum == Approx(1));
        }
      }
    }
  }
}

TEST_CASE("a run gives the same bits again, on any number of threads") {
  constexpr std::uint64_t kRuns = 8;
  for (const EngineKind kind : kEngines) {
    std::vector<Simulation> alone(kRuns);
    std::vector<Simulation> together(kRuns);
    for (std::uint64_t seed = 0; seed < kRuns; ++seed) alone[seed] = played(test::draw_sample(seed), kind);
    std::vector<std::thread> threads;
    for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
      threads.emplace_back([&together, seed, kind] { together[seed] = played(test::draw_sample(seed), kind); });
    }
    for (std::thread& thread : threads) thread.join();
    for (std::uint64_t seed = 0; seed < kRuns; ++seed) {
      INFO("seed " << seed);
      check_same(alone[seed], together[seed]);
    }
  }
}

TEST_CASE("names and the order of tensors do not matter") {
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    TensorOrder order(sample.pipeline.tensors().size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<ir::TensorId>(order.size() - 1 - i);
    // A tensor that lies in another's memory names it by its id: keep those as they are.
    bool shares = false;
    for (const ir::Tensor& t : sample.pipeline.tensors()) shares = shares || t.same_memory != ir::kNone;
    if (shares) continue;
    const ir::Pipeline other = relabelled(sample.pipeline, order);
    for (const EngineKind kind : kEngines) {
      INFO("seed " << seed << " " << sample.text << (kind == EngineKind::fast ? ", fast" : ", detailed"));
      check_same(played(sample, kind), played(other, sample.chip, sample.conditions, kind));
    }
  }
}

TEST_CASE("dirty lines that a call finds in L2 cost HBM their bytes, and on the whole time") {
  std::array<double, 2> clean_us{};
  std::array<double, 2> dirty_us{};
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    const test::Sample sample = test::draw_sample(seed);
    if (sample.conditions.l2 != L2Start::cold) continue;
    Conditions dirty = sample.conditions;
    dirty.l2_dirty = 1;
    const auto l2_bytes = static_cast<double>(sample.chip.l2_effective().count());
    for (const EngineKind kind : kEngines) {
      INFO("seed " << seed << " " << sample.text << (kind == EngineKind::fast ? ", fast" : ", detailed"));
      const Simulation clean = played(sample, kind);
      const Simulation written = played(sample.pipeline, sample.chip, dirty, kind);
      double more = 0;
      double own = 0;  // results, of which other ones may leave L2 before the end
      for (std::size_t k = 0; k < clean.kernels.size(); ++k) {
        more += written.kernels[k].hbm_written_bytes - clean.kernels[k].hbm_written_bytes;
        own += clean.kernels[k].l2_written_bytes;
      }
      CHECK(more <= (l2_bytes + own) * (1 + kRounding));
      clean_us[static_cast<std::size_t>(kind == EngineKind::fast)] += clean.time_us;
      dirty_us[static_cast<std::size_t>(kind == EngineKind::fast)] += written.time_us;
    }
  }
  for (std::size_t i = 0; i < clean_us.size(); ++i) CHECK(dirty_us[i] > clean_us[i]);  // of one call other victims may leave other hits
}

TEST_CASE("heads of equal work may come in any order") {
  // Heads as families of their own, in order and reversed, with K/V of their own: only labels differ.
  for (std::uint64_t seed = 0; seed < kSamples; ++seed) {
    test::Draw draw(seed);
    test::AttentionSpec spec = test::random_attention(draw);
    spec.group = 1;
    spec.heads_as_families = true;
    spec.splits = 1;
    const Chip chip = test::random_chip(draw);
    const ir::Pipeline forward = test::attention_pipeline(spec);
    ir::PipelineBuilder builder("reversed");
    for (const ir::Tensor& tensor : forward.tensors()) builder.tensor(tensor);
    ir::Kernel kernel = std::get<ir::Kernel>(forward.nodes().front().work);
    std::reverse(kernel.families.begin(), kernel.families.end());
    builder.add(std::move(kernel));
    const ir::Pipeline backward = builder.build();
    for (const EngineKind kind : kEngines) {
      INFO("seed " << seed << (kind == EngineKind::fast ? ", fast" : ", detailed"));
      check_same(played(forward, chip, {}, kind), played(backward, chip, {}, kind));
    }
  }
}
