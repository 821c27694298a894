// SPDX-License-Identifier: Apache-2.0
#include "workloads/variants/gna.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "workloads/variants/params.h"
#include "workloads/variants/variants.h"

namespace attnsim {

namespace {

constexpr std::size_t kMostAxes = 3;

class Reader {
 public:
  explicit Reader(const Problem& problem) : problem_(problem) {}

  void issue(const std::string& name, const std::string& value, const std::string& what, const std::string& allowed) {
    issues_.push_back({"", "/params/" + name, '"' + value + '"', what, allowed, ""});
  }

  // One number per axis; a single one stands for all axes.
  std::vector<std::int64_t> extents(const char* name, const std::string& fallback, std::size_t axes) {
    const std::string text = text_param(problem_, name, fallback);
    std::vector<std::int64_t> values = parse_extents(text);
    if (values.size() == 1) values.resize(axes, values.front());
    if (values.size() == axes) return values;
    issue(name, text, fmt::format("does not give a number for each of {} axes", axes),
          axes == 1 ? "a number" : fmt::format("{} numbers joined by x, or one for all axes", axes));
    return std::vector<std::int64_t>(axes, 0);
  }

  void finish() const {
    if (!issues_.empty()) throw ConfigError(issues_);
  }

 private:
  const Problem& problem_;
  std::vector<ConfigIssue> issues_;
};

std::string joined(const std::vector<std::int64_t>& extents) {
  return text(extents);
}

void check_axis(Reader& reader, const GnaAxis& axis, std::size_t a) {
  const std::int64_t longest = axis.length / axis.dilation;
  if (axis.window < 1 || axis.window > longest)
    reader.issue("window", std::to_string(axis.window),
                 fmt::format("is no window of axis {} ({} tokens, dilation {})", a, axis.length, axis.dilation),
                 fmt::format("1 to {}", longest));
  if (axis.stride < 1 || axis.stride > axis.window)
    reader.issue("stride", std::to_string(axis.stride), fmt::format("is no stride of axis {}", a),
                 fmt::format("1 to the window {}", axis.window));
}

}  // namespace

std::vector<std::int64_t> parse_extents(const std::string& text) {
  constexpr std::size_t kMostDigits = 12;
  std::vector<std::int64_t> values;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find('x', at), text.size());
    const std::string digits = text.substr(at, end - at);
    if (digits.empty() || digits.size() > kMostDigits || digits.find_first_not_of("0123456789") != std::string::npos) return {};
    values.push_back(std::stoll(digits));
    at = end + 1;
  }
  return values;
}

GnaShape gna_shape(const Problem& problem, std::int64_t entry) {
  Reader reader(problem);
  const std::int64_t q_len = problem.q_len_of(entry);
  const std::int64_t kv_len = problem.kv_len_of(entry);
  const std::string layout_text = text_param(problem, "layout", "");
  const std::vector<std::int64_t> layout = layout_text.empty() ? std::vector<std::int64_t>{q_len} : parse_extents(layout_text);
  std::int64_t tokens = 1;
  bool sensible = !layout.empty() && layout.size() <= kMostAxes;
  for (const std::int64_t length : layout) {
    sensible = sensible && length > 0;
    tokens = length > 0 && tokens <= (std::int64_t{1} << 40) / length ? tokens * length : 0;
  }
  if (!sensible) {
    reader.issue("layout", layout_text, "is no layout", "one to three lengths joined by x, 30x48x80");
    reader.finish();
  }
  if (tokens != q_len)
    reader.issue("layout", joined(layout), fmt::format("holds {} tokens, q_len is {}", tokens, q_len), fmt::format("q_len {}", tokens));
  const std::size_t axes = layout.size();
  const auto window = reader.extents("window", "0", axes);
  const auto stride = reader.extents("stride", "1", axes);
  const auto dilation = reader.extents("dilation", "1", axes);
  const auto causal = reader.extents("causal", "0", axes);
  reader.finish();
  GnaShape shape;
  for (std::size_t a = 0; a < axes; ++a) {
    if (dilation[a] < 1 || dilation[a] > layout[a]) {
      reader.issue("dilation", std::to_string(dilation[a]), fmt::format("is no dilation of axis {}", a), fmt::format("1 to {}", layout[a]));
      reader.finish();
    }
    if (causal[a] > 1) reader.issue("causal", joined(causal), "is neither 0 nor 1 on some axis", "0 or 1 per axis");
    shape.axes.push_back({layout[a], window[a] == 0 ? layout[a] / dilation[a] : window[a], stride[a], dilation[a], causal[a] == 1});
    check_axis(reader, shape.axes.back(), a);
  }
  const auto extra = problem.params.find("extra_keys");
  shape.extra_keys = extra == problem.params.end() ? 0 : std::get<std::int64_t>(extra->second);
  shape.held_in_boxes = text_param(problem, "tokens", "layout") == "boxes";
  if (kv_len != tokens + shape.extra_keys)
    reader.issue("extra_keys", std::to_string(shape.extra_keys), fmt::format("and {} tokens do not make kv_len {}", tokens, kv_len),
                 fmt::format("kv_len {}", tokens + shape.extra_keys));
  reader.finish();
  return shape;
}

namespace {

std::vector<ParamSpec> gna_params(bool with_stride) {
  std::vector<ParamSpec> specs{
      {"layout", std::string(), "tokens per axis, one to three, the last fastest: 30x48x80; empty: one axis of q_len tokens", {}},
      {"window", std::string("0"), "keys that a query keeps per axis: 18x24x24, or one number for all axes; 0: the whole axis", {}},
  };
  if (with_stride) specs.push_back({"stride", std::string("1"), "queries per axis that share a window: 1 up to the window", {}});
  specs.push_back({"dilation", std::string("1"), "distance of neighbouring keys per axis: residue classes do not see each other", {}});
  specs.push_back({"causal", std::string("0"), "1 for axes on which a query keeps no key behind itself: 1x0x0", {}});
  specs.push_back({"extra_keys", std::int64_t{0}, "keys behind those of the layout that every query sees", {}});
  specs.push_back(
      {"tokens",
       std::string("layout"),
       "how tensors hold their tokens: layout, in its order, so that schedules with boxes reorder them in kernels of their own; "
       "boxes, as the schedule wants them",
       {"layout", "boxes"}});
  return specs;
}

std::vector<HeadMask> gna_masks(const Problem& problem, std::int64_t entry) {
  return {{0, problem.q_heads, std::make_shared<GnaMask>(gna_shape(problem, entry))}};
}

}  // namespace

Variant gna_variant() {
  return {"gna",
          "tile-list",
          "neighbourhood attention in one to three dimensions whose queries share windows in groups of `stride` per axis",
          "Hassani et al., Generalized Neighborhood Attention, arXiv 2504.16922",
          gna_params(true),
          gna_masks,
          ShapeKind::attention,
          nullptr,
          "gna-"};
}

Variant na_variant() {
  return {"na",
          "tile-list",
          "neighbourhood attention in one to three dimensions: a window of keys around every query, shifted at the edges",
          "Hassani et al., Faster Neighborhood Attention, arXiv 2403.04690",
          gna_params(false),
          gna_masks,
          ShapeKind::attention,
          nullptr,
          "A10-"};
}

}  // namespace attnsim
