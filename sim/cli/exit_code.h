// SPDX-License-Identifier: Apache-2.0
// Thrown by an action that has printed all it has to say and ends the program with bad news: `validate --host` where a clear speedup is
// predicted the wrong way round.
#pragma once

namespace attnsim::cli {

struct ExitCode {
  int code = 1;
};

}  // namespace attnsim::cli
