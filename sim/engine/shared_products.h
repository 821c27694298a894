// SPDX-License-Identifier: Apache-2.0
// Asynchronous MMAs under way on one matrix unit that take turns by k-steps (Op::by_steps): those of one agent in order, the first ones of
// all agents side by side at equal rates. Ticks; private to sim/engine.
//
//   products.add({0, agent, 100}) at tick 0 and {1, other, 100} at tick 50 end at ticks 150 and 200
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace attnsim::machine {

class SharedProducts {
 public:
  struct Product {
    std::int64_t id = 0;  // transfer
    std::int64_t agent = 0;
    std::int64_t work = 0;  // ticks of the whole unit that are left
  };

  // What the unit does until `now`; products that are through leave.
  void advance(std::int64_t now) {
    std::int64_t left = now - time_;
    time_ = now;
    serve(products_, [&](std::int64_t wanted) {
      const std::int64_t given = std::min(wanted, left);
      left -= given;
      return given;
    });
  }
  void add(const Product& product) { products_.push_back(product); }
  // Calls done(id, tick) for each, as if no other came; first to last.
  template <class Done>
  void project(Done&& done) const {
    std::vector<Product> rest = products_;
    std::int64_t time = time_;
    while (!rest.empty()) {
      const std::vector<std::size_t> heads = first_of_agents(rest);
      std::int64_t least = rest[heads.front()].work;
      for (const std::size_t h : heads) least = std::min(least, rest[h].work);
      time += least * static_cast<std::int64_t>(heads.size());
      for (const std::size_t h : heads) rest[h].work -= least;
      for (const Product& p : rest)
        if (p.work == 0) done(p.id, time);
      std::erase_if(rest, [](const Product& p) { return p.work == 0; });
    }
  }

 private:
  [[nodiscard]] static std::vector<std::size_t> first_of_agents(const std::vector<Product>& products) {
    std::vector<std::size_t> heads;
    for (std::size_t i = 0; i < products.size(); ++i) {
      const bool first = std::none_of(heads.begin(), heads.end(), [&](std::size_t h) { return products[h].agent == products[i].agent; });
      if (first) heads.push_back(i);
    }
    return heads;
  }
  // Equal shares to the first ones of all agents, as much as take() gives; what a share can't be divided into goes to the oldest.
  template <class Take>
  static void serve(std::vector<Product>& products, Take&& take) {
    while (!products.empty()) {
      const std::vector<std::size_t> heads = first_of_agents(products);
      const auto n = static_cast<std::int64_t>(heads.size());
      std::int64_t least = products[heads.front()].work;
      for (const std::size_t h : heads) least = std::min(least, products[h].work);
      const std::int64_t given = take(least * n);
      if (given == 0) return;
      std::int64_t odd = given % n;
      for (const std::size_t h : heads) products[h].work -= given / n + (odd-- > 0 ? 1 : 0);
      std::erase_if(products, [](const Product& p) { return p.work == 0; });
    }
  }

  std::vector<Product> products_;
  std::int64_t time_ = 0;
};

}  // namespace attnsim::machine
