// SPDX-License-Identifier: Apache-2.0
#include "sim/predict/memo.h"

namespace attnsim {

Result Memo::operator()(const Request& request) {
  const std::string key = resolved_config(request);
  std::promise<Result> mine;
  std::shared_future<Result> answer;
  bool computes = false;
  {
    const std::lock_guard lock(mutex_);
    const auto [entry, added] = seen_.try_emplace(key);
    if (added) entry->second = mine.get_future().share();
    answer = entry->second;
    computes = added;
  }
  if (computes) {
    try {
      mine.set_value(predictor_(request));
    } catch (...) {
      mine.set_exception(std::current_exception());
    }
  }
  Result result = answer.get();
  result.workload = request.workload;
  return result;
}

}  // namespace attnsim
