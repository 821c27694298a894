// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "validation/file_formats.h"
#include "validation/mapping.h"
#include "validation/ratios.h"
#include "validation/validate.h"

using namespace attnsim;
using Catch::Matchers::Contains;

namespace {

const std::string kNattenHeader =
    "run,gpu,dtype,batch,heads,head_dim,layout,window,stride,dilation,causal,backend,q_tile,kv_tile,pass,operation,calls,runtime_us,set\n";

std::vector<MeasuredRow> rows_of(const std::string& lines) {
  return read_natten_profiler(parse_csv(kNattenHeader + lines, "natten_profiler.csv"));
}

// Dense, a window of a sixteenth with stride 1 and with stride 256, on 32768 tokens.
const std::string kLines =
    "a,H100,fp16,1,1,128,32768,,,,False,cudnn,,,fwd,sm90_flash_fprop_x,1,800,s\n"
    "b,H100,fp16,1,1,128,32768,2048,1,1,False,hopper-fna,128,128,fwd,FnaForward,1,90,s\n"
    "c,H100,fp16,1,1,128,32768,2048,256,1,False,hopper-fna,128,128,fwd,FnaForward,1,60,s\n"
    "d,H100,fp16,1,1,128,32768,2048,256,1,False,hopper-fna,,,memory_or_misc,TokPerm,9,70,s\n";

RowOutcome predicted(const MeasuredRow& row, double us) {
  RowOutcome outcome;
  outcome.row = row;
  outcome.predicted_us = us;
  return outcome;
}

}  // namespace

TEST_CASE("a profiled neighbourhood is read with its density and whether its kernel tests scores") {
  const std::vector<MeasuredRow> rows = rows_of(kLines);
  REQUIRE(rows.size() == 4);
  CHECK(*rows[0].density == 1);
  CHECK_FALSE(rows[0].masked);
  CHECK(*rows[1].density == Approx(1.0 / 16));
  CHECK(*rows[1].masked);
  CHECK_FALSE(*rows[2].masked);  // 256 is a multiple of the query tile, (1024 - 128) one of the KV tile
  CHECK_FALSE(rows[3].density);  // helpers stand in no speedup
  CHECK(rows[1].params.at("window") == "2048");
  CHECK(rows[0].flops == 4.0 * 32768 * 32768 * 128);
  CHECK(rows[1].flops == Approx(rows[0].flops / 16));
  CHECK(*rows_of("b,H100,fp16,1,1,128,64x64,8,1,1,False,hopper-fna,8x8,8x8,fwd,FnaForward,1,90,s\n").front().density == Approx(1.0 / 64));
  CHECK_THROWS_WITH(rows_of("b,H100,fp16,1,1,128,64x64x8,8x8,1,1,False,hopper-fna,8x8,8x8,fwd,FnaForward,1,90,s\n"), Contains("window"));
}

TEST_CASE("ratios within a set are those of the times") {
  const std::vector<MeasuredRow> rows = rows_of(kLines);
  const std::vector<RowOutcome> outcomes{predicted(rows[0], 800), predicted(rows[1], 100), predicted(rows[2], 50), predicted(rows[3], 70)};
  const std::vector<Ratio> ratios = set_ratios(outcomes);
  REQUIRE(ratios.size() == 3);
  CHECK(ratios[0].measured == Approx(800.0 / 90));
  CHECK(*ratios[0].predicted == Approx(8));
  CHECK(ratios[1].error_percent() == Approx(100 * (16.0 / (800.0 / 60) - 1)));
  CHECK(ratios[2].kind == RatioKind::masking);
  CHECK(ratios[2].measured == Approx(1.5));
  CHECK(*ratios[2].predicted == Approx(2));
  CHECK_THAT(ratios_text(outcomes), Contains("masking: 1 ratios, 33.3 % on average"));
  CHECK(ratios_text({}).empty());
}

TEST_CASE("rows of the profiler are single kernels of a call") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  const std::vector<MeasuredRow> rows = rows_of(kLines);
  const MappedRow attention = map_row(rows[1], maps, catalog);
  REQUIRE(attention.unmapped == "");
  CHECK(attention.variant->name == "gna");
  CHECK(attention.schedule->name == "natten-fna-sm90");
  CHECK(attention.timed == TimedKernels{{"attention", 1}});
  const MappedRow permuted = map_row(rows[3], maps, catalog);
  REQUIRE(permuted.unmapped == "");
  std::int64_t calls = 0;
  for (const auto& [name, times] : permuted.timed) calls += times;
  CHECK(calls == 9);  // the row's own column
  CHECK(permuted.key() != map_row(rows[2], maps, catalog).key());
}

TEST_CASE("a profiled neighbourhood runs with the tiles of its row") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  const std::string call = ",fp16,1,24,128,30x48x80,18x24x24,1x1x1,1x1x1,False,";
  const std::vector<MeasuredRow> rows = rows_of("a,A100" + call + "cutlass-fna,4x4x4,4x4x4,fwd,FnaForward,1,900,s\n" +  //
                                                "b,A100" + call + "cutlass-fna,2x4x4,2x8x8,fwd,FnaForward,1,800,s\n" +  //
                                                "c,H200" + call + "hopper-fna,2x8x8,2x8x8,fwd,FnaForward,1,90,s\n");
  std::vector<MappedRow> mapped;
  for (const MeasuredRow& row : rows) {
    mapped.push_back(map_row(row, maps, catalog));
    REQUIRE(mapped.back().unmapped == "");
    const std::vector<TileRule>& tiles = mapped.back().schedule->tiles;
    REQUIRE(tiles.size() == 1);
    CHECK(std::vector<std::int64_t>(tiles[0].q_boxes[2].begin(), tiles[0].q_boxes[2].end()) == row.tiles->q);
    CHECK(std::vector<std::int64_t>(tiles[0].kv_boxes[2].begin(), tiles[0].kv_boxes[2].end()) == row.tiles->kv);
  }
  CHECK(mapped[0].schedule->name == "natten-fna-sm80");
  CHECK(mapped[1].schedule->tiles[0].tile_q == 32);  // 2 x 4 x 4 queries
  CHECK(mapped[1].schedule->tiles[0].tile_kv == 128);
  CHECK(mapped[2].chip->name == "h200");
  CHECK(mapped[0].key() != mapped[1].key());
}

TEST_CASE("a timed kernel is its own time without the others, and one that is not there is named") {
  Catalog catalog;
  const std::vector<MeasuredRow> rows = rows_of("c,H100,fp16,1,1,128,2048,256,256,1,False,hopper-fna,128,128,fwd,FnaForward,1,60,s\n");
  const MappedRow mapped = map_row(rows[0], KernelMaps::load(), catalog);
  REQUIRE(mapped.unmapped == "");
  const Request request = mapped.request(rows[0], EngineKind::automatic);
  double sum = 0;
  for (const KernelResult& kernel : predict(request).kernels) sum += kernel.time_us;
  const double attention = simulated_us(request, {{"attention", 1}});
  const double rest =
      simulated_us(request, {{"permute_q", 1}, {"permute_k", 1}, {"permute_v", 1}, {"unpermute_o", 1}, {"unpermute_lse", 1}});
  CHECK(attention + rest == Approx(sum));
  CHECK(simulated_us(request, {{"attention", 3}}) == Approx(3 * attention));
  CHECK_THROWS_WITH(simulated_us(request, {{"atention", 1}}), Contains("atention"));
}

TEST_CASE("simulated kernels carry the speedups of whole models that the GNA paper measured, where its table is at hand") {
  const std::filesystem::path path = default_measurements() / "nattensim_published_bounds.csv";
  if (!std::filesystem::exists(path)) return;
  const CsvTable table = read_csv(path);
  CsvReader reader(table);
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  const auto kernel_us = [&](const std::string& heads, const std::string& layout, const std::string& rest) {
    const MeasuredRow row = rows_of("p,B200,fp16,1," + heads + ",128," + layout + "," + rest + ",1,1,s\n").front();
    const MappedRow mapped = map_row(row, maps, catalog);
    REQUIRE(mapped.unmapped == "");
    return simulated_us(mapped.request(row, EngineKind::fast), mapped.timed);
  };
  double worst = 0, paper_worst = 0;
  for (const CsvRecord& record : table.records) {
    reader.select(record);
    const std::string heads = reader.text("model") == "Cosmos-7B" ? "32" : "24";
    const std::string window = reader.text("window") + "," + reader.text("stride") + ",1x1x1,False,blackwell-fna,";
    const double sparse =
        kernel_us(heads, reader.text("layout"), window + reader.text("q_tile") + "," + reader.text("kv_tile") + ",fwd,FnaForward");
    const double dense = kernel_us(heads, reader.text("layout"), ",,,False,blackwell-fmha,,,fwd,FmhaForward");
    // Attention is `share` of a run, the first steps keep it dense.
    const double share = reader.positive("sa_share");
    const double kept = reader.non_negative("sa_steps") / reader.positive("total_steps");
    const double speedup = 1 / (1 - share + share * (kept + (1 - kept) * sparse / dense));
    const double measured = reader.positive("paper_speedup_actual");
    CAPTURE(record.line, speedup, measured);
    CHECK(std::abs(speedup / measured - 1) < 0.08);
    worst = std::max(worst, std::abs(speedup / measured - 1));
    paper_worst = std::max(paper_worst, std::abs(reader.positive("paper_speedup_sim") / measured - 1));
  }
  CHECK(worst < paper_worst);  // the paper's own simulator counts tiles
}
