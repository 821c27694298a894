// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/identity.h"

#include <catch2/catch.hpp>

#include "hwmodels/chip_loader.h"
#include "sim/core/json_reader.h"

using namespace attnsim;

TEST_CASE("The resolved config is canonical JSON with chip and schedule as they were resolved") {
  Request request;
  request.variant = &variant("causal");
  request.problem.q_len = {128};
  request.problem.kv_len = {128};
  request.schedule = load_schedule("fa3-sm90");
  request.chip = load_chip("h100-sxm");
  if (GENERATE(false, true)) request.measured_us = 12.5;
  const std::string text = resolved_config(request);
  const Json document = Json::parse(text);
  CHECK(text == canonical(document));
  CHECK(document["chip"] == Json::parse(request.chip.resolved_json));
  CHECK(document["schedule"] == Json::parse(request.schedule.resolved_json));
  CHECK(document["variant"] == "causal");
  CHECK(document.contains("measured_us") == request.measured_us.has_value());
  CHECK(model_hash(request) == model_hash(request, text));
}
