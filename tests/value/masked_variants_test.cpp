// SPDX-License-Identifier: Apache-2.0
// Every masked variant against its definition, written out here once more: values through the lowered kernels on random shapes, and
// kept pairs.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "tests/masks/mask_contract.h"
#include "tests/support/chips.h"
#include "tests/value/lowered_attention.h"

using namespace attnsim;
using attnsim::test::draw;
using attnsim::test::problem;

namespace {

struct Sample {
  Problem p;
  std::function<bool(std::int64_t b, std::int64_t h, std::int64_t q, std::int64_t k)> keep;
};

struct Shape {
  std::int64_t q_heads;
  std::int64_t kv_heads;
  std::int64_t q_len;
  std::int64_t kv_len;
};

using Make = Sample (*)(std::mt19937& rng, const Shape& s);

Sample sample(const Shape& s, Params params, std::function<bool(std::int64_t h, std::int64_t p, std::int64_t k)> keep) {
  Sample made;
  made.p = problem(1, s.q_heads, s.kv_heads, {s.q_len}, {s.kv_len}, 16, std::move(params));
  const std::int64_t shift = s.kv_len - s.q_len;
  made.keep = [shift, keep](std::int64_t, std::int64_t h, std::int64_t q, std::int64_t k) { return keep(h, q + shift, k); };
  return made;
}

// Lengths that add up to `tokens`, and each token's document and place in it.
struct Documents {
  std::string text;
  std::vector<std::int64_t> number;
  std::vector<std::int64_t> place;
};
Documents documents(std::mt19937& rng, std::int64_t tokens) {
  Documents d;
  while (static_cast<std::int64_t>(d.number.size()) < tokens) {
    const std::int64_t left = tokens - static_cast<std::int64_t>(d.number.size());
    const std::int64_t length = std::min<std::int64_t>(left, draw(rng, 1, 150));
    const std::int64_t number = d.number.empty() ? 0 : d.number.back() + 1;
    for (std::int64_t i = 0; i < length; ++i) {
      d.number.push_back(number);
      d.place.push_back(i);
    }
    d.text += (d.text.empty() ? "" : ", ") + std::to_string(length);
  }
  return d;
}
std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

Sample sinks(std::mt19937& rng, const Shape& s) {
  const std::int64_t first = draw(rng, 0, 9);
  const std::int64_t window = draw(rng, 1, 90);
  return sample(s, {{"sinks", first}, {"window", window}},
                [=](std::int64_t, std::int64_t p, std::int64_t k) { return k <= p && (k < first || k > p - window); });
}

Sample dilated(std::mt19937& rng, const Shape& s) {
  const std::int64_t keys = draw(rng, 1, 30);
  const std::int64_t dilation = draw(rng, 1, 6);
  return sample(s, {{"keys", keys}, {"dilation", dilation}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    for (std::int64_t i = 0; i < keys; ++i) {
      if (k == p - i * dilation) return true;
    }
    return false;
  });
}

Sample block_dilated(std::mt19937& rng, const Shape& s) {
  const std::int64_t block = draw(rng, 1, 40);
  const std::int64_t blocks = draw(rng, 1, 4);
  const std::int64_t dilation = draw(rng, 1, 3);
  return sample(s, {{"block", block}, {"blocks", blocks}, {"dilation", dilation}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    bool seen = false;
    for (std::int64_t i = 0; i < blocks; ++i) seen = seen || k / block == p / block - i * dilation;
    return seen && k <= p;
  });
}

Sample global_window(std::mt19937& rng, const Shape& s) {
  const std::int64_t global = draw(rng, 0, 20);
  const std::int64_t window = draw(rng, 0, 60);
  return sample(s, {{"global", global}, {"window", window}},
                [=](std::int64_t, std::int64_t p, std::int64_t k) { return k < global || p < global || std::abs(p - k) <= window; });
}

Sample power(std::mt19937& rng, const Shape& s) {
  const std::int64_t block = draw(rng, 4, 40);
  const std::int64_t window = draw(rng, 1, 3);
  return sample(s, {{"block", block}, {"window", window}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    const std::int64_t distance = p / block - k / block;
    bool power_of_two = distance == 0;
    for (std::int64_t d = 1; d <= 1024; d *= 2) power_of_two = power_of_two || d == distance;
    return k <= p && (k < block || distance < window || power_of_two);
  });
}

Sample document(std::mt19937& rng, const Shape& s) {
  const Documents d = documents(rng, s.kv_len);
  const bool causal = draw(rng, 0, 1) == 1;
  return sample(s, {{"documents", d.text}, {"causal", causal}},
                [=](std::int64_t, std::int64_t p, std::int64_t k) { return d.number[at(p)] == d.number[at(k)] && (!causal || k <= p); });
}

Sample prefix_lm(std::mt19937& rng, const Shape& s) {
  const std::int64_t prefix = draw(rng, 0, s.kv_len);
  return sample(s, {{"prefix", prefix}}, [=](std::int64_t, std::int64_t p, std::int64_t k) { return k < prefix || k <= p; });
}

Sample prefix_lm_document(std::mt19937& rng, const Shape& s) {
  const Documents d = documents(rng, s.kv_len);
  const std::int64_t prefix = draw(rng, 0, 60);
  return sample(s, {{"documents", d.text}, {"prefix", prefix}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    return d.number[at(p)] == d.number[at(k)] && (d.place[at(k)] < prefix || k <= p);
  });
}

Sample block_causal_document(std::mt19937& rng, const Shape& s) {
  const Documents d = documents(rng, s.kv_len);
  const std::int64_t block = draw(rng, 1, 70);
  return sample(s, {{"documents", d.text}, {"block", block}},
                [=](std::int64_t, std::int64_t p, std::int64_t k) { return d.number[at(p)] == d.number[at(k)] && k / block <= p / block; });
}

Sample causal_blockwise(std::mt19937& rng, const Shape& s) {
  const std::int64_t block = draw(rng, 1, 90);
  const std::int64_t blocks = (s.kv_len + block - 1) / block;
  return sample(s, {{"block", block}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    return k <= p && (k / block == p / block || p / block == blocks - 1);
  });
}

Sample shared_question(std::mt19937& rng, const Shape& s) {
  const std::int64_t question = draw(rng, 0, 60);
  const std::int64_t answer = draw(rng, 1, 50);
  return sample(s, {{"question", question}, {"answer", answer}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    if (k < question) return true;
    return p >= question && (p - question) / answer == (k - question) / answer && k <= p;
  });
}

Sample group_position(std::mt19937& rng, const Shape& s) {
  const std::int64_t source = draw(rng, 0, s.kv_len);
  const std::int64_t wait = draw(rng, 0, 20);
  return sample(s, {{"source", source}, {"wait", wait}}, [=](std::int64_t, std::int64_t p, std::int64_t k) {
    if (p < source || k >= source) return k <= p;
    return k < std::min(wait + p - source, source);
  });
}

Sample s2(std::mt19937& rng, const Shape& s) {
  const std::int64_t block = draw(rng, 4, 40);
  const std::int64_t local = draw(rng, 1, 3);
  const std::int64_t stride = draw(rng, 1, 5);
  const std::int64_t offset = draw(rng, 0, 3);
  const std::int64_t group = s.q_heads / s.kv_heads;
  const std::int64_t step = std::max<std::int64_t>(1, stride / s.kv_heads);
  return sample(s, {{"block", block}, {"local", local}, {"stride", stride}, {"offset", offset}},
                [=](std::int64_t h, std::int64_t p, std::int64_t k) {
                  const std::int64_t i = p / block;
                  const std::int64_t j = k / block;
                  return k <= p && (i - j < local || (j + h / group * step + offset) % stride == 0);
                });
}

Sample moa(std::mt19937& rng, const Shape& s) {
  const std::int64_t sink = draw(rng, 0, 30);
  return sample(s, {{"rules", std::string("0+1/8, -64+1/2, 10+1")}, {"sink", sink}}, [=](std::int64_t h, std::int64_t p, std::int64_t k) {
    const std::int64_t n = s.kv_len;
    const std::int64_t wanted[] = {n / 8, n / 2 - 64, n + 10};
    std::int64_t span = 64;
    while (span < wanted[h % 3]) span += 64;
    span = std::min(span, n);
    return k <= p && (k < sink || p - k < std::max<std::int64_t>(span - sink, 1));
  });
}

Sample masked(std::mt19937& rng, const Shape& s) {
  const std::int64_t near = draw(rng, 1, 80);
  const std::string text = "k <= q + shift && (q + shift - k < " + std::to_string(near) + " || k % 16 < head + 2)";
  return sample(s, {{"mask", text}},
                [=](std::int64_t h, std::int64_t p, std::int64_t k) { return k <= p && (p - k < near || k % 16 < h + 2); });
}

struct Named {
  const char* name;
  Make make;
};

constexpr Named kVariants[] = {{"attention-sinks", sinks},
                               {"dilated-window", dilated},
                               {"block-dilated-window", block_dilated},
                               {"global-window", global_window},
                               {"power-attention", power},
                               {"document", document},
                               {"prefix-lm", prefix_lm},
                               {"prefix-lm-document", prefix_lm_document},
                               {"block-causal-document", block_causal_document},
                               {"causal-blockwise", causal_blockwise},
                               {"shared-question", shared_question},
                               {"group-position", group_position},
                               {"s2-attention", s2},
                               {"moa", moa},
                               {"masked", masked}};

Shape random_shape(std::mt19937& rng) {
  const std::int64_t kv_heads = draw(rng, 1, 2);
  const std::int64_t kv_len = draw(rng, 1, 260);
  return {kv_heads * draw(rng, 1, 2), kv_heads, draw(rng, 1, kv_len), kv_len};
}

}  // namespace

TEST_CASE("masked variants keep the pairs of their definitions, and tile and count them", "[masks]") {
  for (const Named& v : kVariants) {
    std::mt19937 rng(23);
    for (int i = 0; i < 60; ++i) {
      const Shape shape = random_shape(rng);
      const Sample made = v.make(rng, shape);
      INFO(v.name << ", sample " << i << ", " << shape.q_len << " x " << shape.kv_len << ", heads " << shape.q_heads);
      std::int64_t head = 0;
      for (const HeadMask& m : variant(v.name).masks(made.p, 0)) {
        REQUIRE(m.first_head == head);
        for (; head < m.first_head + m.heads; ++head) {
          for (std::int64_t q = 0; q < shape.q_len; ++q) {
            for (std::int64_t k = 0; k < shape.kv_len; ++k) REQUIRE(m.mask->keeps(q, k) == made.keep(0, head, q, k));
          }
        }
        if (i % 4 == 0) test::check_contract(*m.mask, rng, 2);
      }
      REQUIRE(head == shape.q_heads);
    }
  }
}

TEST_CASE("kernels of masked variants agree with the reference on random shapes", "[value]") {
  const std::vector<std::pair<std::string, Chip>> kernels{{"fa2-sm80", test::a100()},
                                                          {"fa3-sm90", test::h100()},
                                                          {"fa4-sm100", test::b200()},
                                                          {"fused-generic", test::systolic()},
                                                          {"naive-unfused", test::a100()}};
  for (const Named& v : kVariants) {
    std::mt19937 rng(29);
    for (std::size_t i = 0; i < 50; ++i) {
      const Shape shape = random_shape(rng);
      const Sample made = v.make(rng, shape);
      const auto& [schedule, chip] = kernels[i % kernels.size()];
      INFO(v.name << ", sample " << i << " by " << schedule << ", " << shape.q_len << " x " << shape.kv_len << ", heads " << shape.q_heads
                  << "/" << shape.kv_heads);
      double error = INFINITY;
      REQUIRE_NOTHROW(error = test::largest_error({schedule, chip, v.name, made.p, nullptr, made.keep}, i));
      CHECK(error < 1e-9);
    }
  }
}
