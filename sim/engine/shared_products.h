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
    while (left > 0 && !products_.empty()) {
      const Heads heads = heads_of(products_);
      const std::int64_t given = std::min(left, heads.least * heads.count());
      std::int64_t odd = given % heads.count();  // a tick that can't be shared goes to the oldest
      for (const std::size_t h : heads.places) products_[h].work -= given / heads.count() + (odd-- > 0 ? 1 : 0);
      std::erase_if(products_, [](const Product& p) { return p.work == 0; });
      left -= given;
    }
  }
  void add(const Product& product) { products_.push_back(product); }
  // Calls done(id, tick) for each, as if no other came; first to last.
  template <class Done>
  void project(Done&& done) {
    rest_ = products_;
    std::int64_t time = time_;
    while (!rest_.empty()) {
      const Heads heads = heads_of(rest_);
      time += heads.least * heads.count();
      for (const std::size_t h : heads.places) rest_[h].work -= heads.least;
      for (const Product& p : rest_)
        if (p.work == 0) done(p.id, time);
      std::erase_if(rest_, [](const Product& p) { return p.work == 0; });
    }
  }

 private:
  // The first product of each agent.
  struct Heads {
    std::vector<std::size_t>& places;
    std::int64_t least;  // work of the shortest
    [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(places.size()); }
  };
  [[nodiscard]] Heads heads_of(const std::vector<Product>& products) {
    places_.clear();
    std::int64_t least = products.front().work;
    for (std::size_t i = 0; i < products.size(); ++i) {
      if (std::any_of(places_.begin(), places_.end(), [&](std::size_t h) { return products[h].agent == products[i].agent; })) continue;
      places_.push_back(i);
      least = std::min(least, products[i].work);
    }
    return {places_, least};
  }

  std::vector<Product> products_;
  std::vector<Product> rest_;  // kept so that nothing is allocated again
  std::vector<std::size_t> places_;
  std::int64_t time_ = 0;
};

}  // namespace attnsim::machine
