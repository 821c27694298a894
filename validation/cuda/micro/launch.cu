// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90a,code=sm_90a
// Launch costs: an empty kernel alone, further kernels of a stream, of a graph, with programmatic dependent launch; CTAs dispatched per
// clock.
#include "validation/cuda/micro/micro.h"

namespace attnsim::cuda {

namespace {

__global__ void empty_kernel() {}
__global__ void dependent_kernel() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

void launch_dependent(cudaStream_t stream) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(1);
  config.blockDim = dim3(128);
  config.stream = stream;
  config.attrs = &attribute;
  config.numAttrs = 1;
  check(cudaLaunchKernelEx(&config, dependent_kernel), "dependent launch");
}

class Graph {
 public:
  template <class Body>
  explicit Graph(const Body& body) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "capture");
    body(stream_);
    check(cudaStreamEndCapture(stream_, &graph), "capture");
    check(cudaGraphInstantiate(&executable_, graph, 0), "graph");
    check(cudaGraphDestroy(graph), "graph");
  }
  ~Graph() {
    cudaGraphExecDestroy(executable_);
    cudaStreamDestroy(stream_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  [[nodiscard]] double microseconds() const {
    return MicroRun::microseconds([this] { check(cudaGraphLaunch(executable_, nullptr), "graph launch"); });
  }

 private:
  cudaStream_t stream_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

constexpr int kMany = 100;

}  // namespace

void micro_launch(MicroRun& run) {
  run.report("", "us", "nothing between two events", [] { return MicroRun::microseconds([] {}); });
  run.report("", "us", "empty kernel between two events", [] { return MicroRun::microseconds([] { empty_kernel<<<1, 128>>>(); }); });
  run.report("launch.stream_kernel_us", "us", "further empty kernel of a stream", [] {
    const double one = MicroRun::microseconds([] { empty_kernel<<<1, 128>>>(); });
    const double many = MicroRun::microseconds([] {
      for (int i = 0; i <= kMany; ++i) empty_kernel<<<1, 128>>>();
    });
    return (many - one) / kMany;
  });
  const auto chain = [](int kernels) {
    return [kernels](cudaStream_t stream) {
      for (int i = 0; i < kernels; ++i) empty_kernel<<<1, 128, 0, stream>>>();
    };
  };
  const Graph one(chain(1)), many(chain(kMany + 1));
  run.report("launch.kernel_us", "us", "graph of one empty kernel", [&] { return one.microseconds(); });
  run.report("launch.dependent_kernel_us", "us", "further empty kernel of a graph",
             [&] { return (many.microseconds() - one.microseconds()) / kMany; });
  if (run.machine.capability >= 90) {
    run.report("", "us", "further kernel of a stream, programmatic dependent launch", [] {
      const double first = MicroRun::microseconds([] { launch_dependent(nullptr); });
      const double all = MicroRun::microseconds([] {
        for (int i = 0; i <= kMany; ++i) launch_dependent(nullptr);
      });
      return (all - first) / kMany;
    });
  }
  const ClockStamps stamps(run.machine.sms);
  for (const int threads : {32, 128, 256}) {
    const int few = 64 * run.machine.sms, lots = 8 * few;
    run.report(threads == 128 ? "launch.ctas_per_clk" : "", "CTAs per SM clock", std::to_string(threads) + " threads, empty", [&] {
      stamps.before(nullptr);
      const double a = MicroRun::microseconds([&] { empty_kernel<<<static_cast<unsigned>(few), static_cast<unsigned>(threads)>>>(); });
      const double b = MicroRun::microseconds([&] { empty_kernel<<<static_cast<unsigned>(lots), static_cast<unsigned>(threads)>>>(); });
      stamps.after(nullptr);
      check(cudaDeviceSynchronize(), "launch");
      return (lots - few) / ((b - a) * stamps.megahertz());
    });
  }
}

}  // namespace attnsim::cuda
