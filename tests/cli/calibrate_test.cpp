// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/cli/process.h"

using namespace attnsim::test;
using Catch::Matchers::Contains;

namespace {

const std::string kRows =
    "row_id,device,library,version,kernel,phase,dtype,batch,q_heads,kv_heads,q_len,kv_len,head_dim_qk,head_dim_v,mask,window,m,n,k,paged,"
    "sm_clock_mhz,harness,time_us,samples,source\n";

}  // namespace

TEST_CASE("calibrate without rows that judge ends with code 2 and says what is missing") {
  const Workspace workspace;
  const auto [arguments, complaint] = GENERATE(table<std::string, std::string>({
      {"calibrate l40s", "--file"},
      {"calibrate l40s --microbenchmarks m.csv --write o.json", "needs rows that judge"},
      {"calibrate l40s --file rows.csv --write-harness h.json", "--harness"},
      {"calibrate l40s --file absent.csv", "absent.csv"},
      {"calibrate l40ss --file rows.csv", "nearest: \"l40s\""},
      {"calibrate l40s --file ./rows.csv", "no calibration row"},
  }));
  (void)workspace.write("rows.csv", kRows);
  const Finished finished = workspace.attnsim(arguments);
  CHECK(finished.exit_code == 2);
  CHECK_THAT(finished.err, Contains(complaint));
  CHECK_FALSE(std::filesystem::exists(workspace / "o.json"));
}

TEST_CASE("a refused calibration ends with code 1 and writes nothing") {
  const Workspace workspace;
  // One timing far from any fit; the half that judges stays empty or gets no better.
  (void)workspace.write("rows.csv", kRows + "a,L40S,FlashAttention-2,,k,fwd,fp16,1,4,4,128,128,64,64,full,,,,,,,,900,1,test\n" +
                                        "b,L40S,FlashAttention-2,,k,fwd,fp16,1,4,4,256,256,64,64,full,,,,,,,,0.9,1,test\n" +
                                        "c,L40S,FlashAttention-2,,k,fwd,fp16,2,4,4,128,128,64,64,full,,,,,,,,900,1,test\n" +
                                        "d,L40S,FlashAttention-2,,k,fwd,fp16,2,4,4,256,256,64,64,full,,,,,,,,0.9,1,test\n");
  const Finished finished = workspace.attnsim("calibrate l40s --file ./rows.csv --parameters none --write o.json");
  INFO(finished.err);
  CHECK(finished.exit_code == 1);
  CHECK_THAT(finished.out, Contains("refused") && Contains("nothing written"));
  CHECK_FALSE(std::filesystem::exists(workspace / "o.json"));
}

TEST_CASE("import reports what made no row and warns - a file of no format ends with code 2") {
  const Workspace workspace;
  const std::string samples = shipped("tests/validation/import/samples").string();
  const Finished trace = workspace.attnsim("import '" + samples + "/kineto.json' --out rows.csv --config config.json");
  CHECK(trace.exit_code == 0);
  CHECK_THAT(trace.out, Contains("no rule for this kernel name") && Contains("toy_unknown_kernel"));
  CHECK_THAT(trace.err, Contains("warning: 3 entries made no row"));
  CHECK(std::filesystem::exists(workspace / "config.json"));
  const Finished validated = workspace.attnsim("validate --file ./rows.csv --json --rows");
  INFO(validated.err);
  CHECK(validated.exit_code == 0);
  CHECK_THAT(validated.out, Contains("\"row-1\""));
  const Finished prose = workspace.attnsim("import '" + shipped("docs/ir.md").string() + "'");
  CHECK(prose.exit_code == 2);
  CHECK(prose.out.empty());
}
