// SPDX-License-Identifier: Apache-2.0
// Remembers predictions by their resolved config: baselines and `best` searches meet the same request again and again.
// Safe to use from several threads; a request that another thread is working on is waited for, not computed twice.
#pragma once

#include <future>
#include <map>
#include <mutex>
#include <string>

#include "sim/predict/run.h"

namespace attnsim {

class Memo {
 public:
  explicit Memo(Predictor predictor = predict) : predictor_(std::move(predictor)) {}
  [[nodiscard]] Result operator()(const Request& request);
  [[nodiscard]] Predictor predictor() {
    return [this](const Request& request) { return (*this)(request); };
  }

 private:
  Predictor predictor_;
  std::mutex mutex_;
  std::map<std::string, std::shared_future<Result>> seen_;
};

}  // namespace attnsim
