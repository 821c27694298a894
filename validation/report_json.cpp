// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "validation/ratios.h"
#include "validation/report.h"

namespace attnsim {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson number(const std::optional<double>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

OrderedJson group_json(const Group& group) {
  const ErrorSummary& e = group.errors;
  return {{"file", group.file},
          {"device", group.device},
          {"kernel", group.kernel},
          {"phase", group.phase},
          {"band", name_of(group.band)},
          {"rows", e.rows},
          {"unmapped", e.unmapped},
          {"mape", number(e.mape)},
          {"median_ape", number(e.median_ape)},
          {"p90_ape", number(e.p90_ape)},
          {"max_ape", number(e.max_ape)},
          {"bias", number(e.bias)},
          {"kendall_tau", number(e.kendall_tau)},
          {"speedup_mape", number(group.speedup_mape)},
          {"roofline_mape", number(group.roofline_mape)},
          {"fitted_roofline_mape", number(group.fitted_roofline_mape)}};
}

std::string_view split_name(Split split) {
  return split == Split::calibration ? "calibration" : split == Split::test ? "test" : "all";
}

OrderedJson row_json(const RowOutcome& outcome) {
  const MeasuredRow& row = outcome.row;
  OrderedJson json{{"file", row.file},
                   {"row", row.id},
                   {"line", row.line},
                   {"device", row.device},
                   {"kernel", row.kernel},
                   {"phase", row.phase},
                   {"dtype", row.dtype},
                   {"shape", row.shape},
                   {"split", split_name(split_of(row))},
                   {"measured_us", row.measured_us},
                   {"predicted_us", number(outcome.predicted_us)},
                   {"schedule", outcome.schedule},
                   {"harness", outcome.harness},
                   {"chip", outcome.chip}};
  json["roofline_us"] = outcome.roofline ? OrderedJson(spec_roofline_us(*outcome.roofline)) : OrderedJson(nullptr);
  json["fitted_roofline_us"] = number(outcome.fitted_roofline_us);
  if (!outcome.counters.empty()) {
    OrderedJson counters = OrderedJson::object();
    for (const CounterPair& c : outcome.counters) counters[c.name] = {{"measured", c.measured}, {"predicted", number(c.predicted)}};
    json["counters"] = counters;
  }
  json["unmapped"] = outcome.unmapped.empty() ? OrderedJson(nullptr) : OrderedJson(outcome.unmapped);
  return json;
}

std::vector<RowOutcome> half_of(std::span<const RowOutcome> outcomes, Split split) {
  std::vector<RowOutcome> half;
  for (const RowOutcome& outcome : outcomes)
    if (split == Split::all || split_of(outcome.row) == split) half.push_back(outcome);
  return half;
}

OrderedJson ratio_json(const Ratio& ratio, std::span<const RowOutcome> outcomes) {
  return {{"kind", ratio.kind == RatioKind::speedup ? "speedup" : "masking"},
          {"set", outcomes[ratio.row].row.set},
          {"row", outcomes[ratio.row].row.id},
          {"against", outcomes[ratio.reference].row.id},
          {"measured", ratio.measured},
          {"predicted", number(ratio.predicted)},
          {"error_percent", ratio.error_percent()}};
}

}  // namespace

std::string report_json(std::span<const Group> groups, std::span<const RowOutcome> outcomes, bool with_rows) {
  OrderedJson root;
  root["groups"] = OrderedJson::array();
  for (const Group& group : groups) root["groups"].push_back(group_json(group));
  for (const Ratio& ratio : set_ratios(outcomes)) root["ratios"].push_back(ratio_json(ratio, outcomes));
  if (with_rows) {
    root["rows"] = OrderedJson::array();
    for (const RowOutcome& outcome : outcomes) root["rows"].push_back(row_json(outcome));
  }
  return root.dump(2) + "\n";
}

std::string accuracy_json(std::span<const RowOutcome> outcomes, const std::string& model_version) {
  std::string text = "{\n \"model_version\": " + OrderedJson(model_version).dump() + ",\n \"entries\": [";
  const char* separator = "\n  ";
  for (const Split split : {Split::all, Split::calibration, Split::test}) {
    for (const Group& group : group_outcomes(half_of(outcomes, split))) {
      if (group.errors.rows == 0) continue;
      OrderedJson entry = group_json(group);
      entry["chip"] = group.chip;
      entry["schedules"] = group.schedules;
      entry["split"] = split_name(split);
      text += separator + entry.dump();  // one line each
      separator = ",\n  ";
    }
  }
  return text + "\n ]\n}\n";
}

}  // namespace attnsim
