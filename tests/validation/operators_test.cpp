// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "validation/file_formats.h"
#include "validation/mapping.h"

using namespace attnsim;

namespace {

constexpr const char* kOperators =
    "device,op,m,n,k,dtype,latency_us\n"
    "a100,gemm,64,128,256,fp16,190\n"
    "a100,softmax,4096,32,,fp16,13.5\n"
    "a100,pooling,4096,32,,fp16,13.5\n";
constexpr const char* kGemm =
    "row_id,device,library,version,kernel,dtype,m,n,k,time_ms,check,source,locator,commit_or_date\n"
    "G1,H100-SXM5-80GB,vllm,1.0,default,bf16,16,64,128,0.002,OK,s,l,c\n"
    "G2,H100-SXM5-80GB,vllm,1.0,default,fp8,16,64,128,0.002,OK,s,l,c\n"
    "G3,H100-SXM5-80GB,vllm,1.0,CutlassFP8ScaledMMLinearKernel,fp8,16,64,128,0.002,OK,s,l,c\n";

}  // namespace

TEST_CASE("operator rows carry their shape, FLOPs and compulsory bytes") {
  const std::vector<MeasuredRow> rows = read_operators(parse_csv(kOperators, "operators_a100.csv"));
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].flops == 2.0 * 64 * 128 * 256);
  CHECK(rows[0].bytes == 2.0 * (64 * 256 + 256 * 128 + 64 * 128));
  CHECK(rows[1].flops == 0);
  CHECK(rows[1].bytes == 2.0 * 2 * 4096 * 32);
  CHECK(rows[1].measured_us == 13.5);
  CHECK(rows[2].no_mapping == "no variant for operator pooling");
}

TEST_CASE("operator rows become problems of their variants under their harness") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  const std::vector<MeasuredRow> rows = read_operators(parse_csv(kOperators, "operators_a100.csv"));
  const MappedRow gemm = map_row(rows[0], maps, catalog);
  REQUIRE(gemm.unmapped == "");
  CHECK(gemm.variant->name == "gemm");
  CHECK(gemm.schedule->name == "gemm-sm80");
  CHECK(gemm.problem.k == 256);
  CHECK(gemm.problem.dtype == ir::DType::f16);
  CHECK(gemm.conditions.host_us > 0);
  const MappedRow softmax = map_row(rows[1], maps, catalog);
  REQUIRE(softmax.unmapped == "");
  CHECK(softmax.schedule->name == "softmax-pytorch");
  CHECK(softmax.key() != gemm.key());
  CHECK_FALSE(map_row(rows[2], maps, catalog).unmapped.empty());
}

TEST_CASE("library products are mapped, those in 8 bits with the kernels that quantise as their library does") {
  Catalog catalog;
  const KernelMaps maps = KernelMaps::load();
  const std::vector<MeasuredRow> rows = read_gemm(parse_csv(kGemm, "gemm.csv"));
  REQUIRE(rows.size() == 3);
  const MappedRow mapped = map_row(rows[0], maps, catalog);
  REQUIRE(mapped.unmapped == "");
  CHECK(mapped.schedule->name == "gemm-sm90");
  CHECK(mapped.harness == "gemm-replay-h100");
  CHECK(rows[1].bytes == 16.0 * 128 + 128 * 64 + 2 * 16 * 64);
  const MappedRow quantized = map_row(rows[1], maps, catalog);
  REQUIRE(quantized.unmapped == "");
  CHECK(quantized.schedule->name == "gemm-f8-sm90");
  CHECK(quantized.variant->name == "gemm");
  CHECK(std::get<std::string>(quantized.problem.params.at("quantize")) == "static");
  CHECK(map_row(rows[2], maps, catalog).schedule->name == "gemm-f8-vllm-sm90");
}
