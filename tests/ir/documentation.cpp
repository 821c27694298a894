// SPDX-License-Identifier: Apache-2.0
// The programs that docs/ir.md shows are the programs that run, and its hand counts hold.
#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "sim/ir/kernel.h"
#include "tests/support/toy_programs.h"

using namespace attnsim;
using namespace attnsim::test;

namespace {

std::string page() {
  std::ifstream file(std::string(ATTNSIM_SOURCE_DIR) + "/docs/ir.md");
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const ToyAttention kDecode{2, 4, 192, 64, false};
ir::Pipeline doc_gemm() {
  return toy_gemm(256, 128, 256, 128, 128, 64, 2);
}
ir::Pipeline doc_fa2() {
  return toy_fa2({1, 256, 256, 64, true}, 128, 64);
}

// Counts of one kernel as docs/ir.md does them: padded shapes, every op once per trip that it acts in.
struct Counts {
  std::int64_t items = 0, trips = 0, tensor_flops = 0, exps = 0, loaded_bytes = 0;
};
Counts count(const ir::Pipeline& pipeline) {
  const auto& kernel = std::get<ir::Kernel>(pipeline.nodes().at(0).work);
  const ir::Program& p = kernel.program;
  const ir::ItemSequence items(kernel);
  Counts c;
  c.items = items.size();
  for (std::int64_t i = 0; i < items.size(); ++i) {
    const ir::RowTile& tile = *items.at(i).tile;
    c.trips += tile.trips();
    for (const ir::Agent& agent : p.agents) {
      for (std::size_t s = 0; s < p.sections.size(); ++s) {
        const std::int64_t times = p.sections[s].kind == ir::SectionKind::once ? 1 : tile.trips();
        for (const ir::Op& op : agent.sections[s]) {
          if (op.kind == ir::OpKind::mma) {
            const ir::Tile& a = p.tiles[static_cast<std::size_t>(op.in[0])];
            c.tensor_flops += times * 2 * p.padded_elements(op.out[0]) * p.padded(a.cols);
          }
          if (op.fn == ir::Fn::exp2) c.exps += times * p.padded_elements(op.out[0]);
          if (op.kind == ir::OpKind::load) c.loaded_bytes += times * p.padded_elements(op.out[0]) * 2;
        }
      }
    }
  }
  return c;
}

}  // namespace

TEST_CASE("docs/ir.md shows the programs as they run", "[ir]") {
  const std::string text = page();
  const auto shown = [&](const ir::Pipeline& p) {
    INFO("docs/ir.md should contain:\n" << ir::to_text(p));
    CHECK(text.find("```text\n" + ir::to_text(p) + "```\n") != std::string::npos);
  };
  shown(doc_gemm());
  shown(doc_fa2());
  shown(toy_fa3({2, 256, 384, 128, false}, 128, 128, 2));
  shown(toy_split_kv(kDecode, 16, 64, 2));
  shown(toy_stream_k({2, 4, 320, 64, false}, 16, 64, 3));
  shown(toy_linear(1, 160, 64, 64, 64));
}

TEST_CASE("the hand counts of the GEMM hold", "[ir]") {
  const ir::Pipeline pipeline = doc_gemm();
  const Counts c = count(pipeline);
  CHECK(c.items == 2);
  CHECK(c.trips == 2 * 4);
  CHECK(c.tensor_flops == 2LL * 256 * 128 * 256);
  CHECK(c.tensor_flops == 16'777'216);
  CHECK(c.exps == 0);
  CHECK(c.loaded_bytes == 262'144);
  CHECK(std::get<ir::Kernel>(pipeline.nodes()[0].work).program.smem_bytes() == 65'536);
  std::int64_t compulsory = 0;
  for (const ir::Tensor& t : pipeline.tensors()) compulsory += t.bytes().count();
  CHECK(compulsory == 327'680);
}

TEST_CASE("the hand counts of causal FA2 hold", "[ir]") {
  const ir::Pipeline pipeline = doc_fa2();
  const Counts c = count(pipeline);
  CHECK(c.items == 2);
  CHECK(c.trips == 6);
  CHECK(c.tensor_flops == 12'582'912);
  CHECK(c.exps == 49'920);
  CHECK(c.loaded_bytes == 131'072);
  std::int64_t kept = 0;
  std::int64_t partial = 0;
  for (const ir::RowTile& t : std::get<ir::Kernel>(pipeline.nodes()[0].work).families[0].tiles) {
    kept += t.kept;
    partial += t.partial_trips();
  }
  CHECK(kept == 256 * 257 / 2);
  CHECK(partial == 4);
}
