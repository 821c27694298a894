// SPDX-License-Identifier: Apache-2.0
// nvcc: -gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=sm_90a
#include "validation/cuda/element.cuh"
#include "validation/cuda/reference.cuh"

namespace attnsim::cuda {

namespace {

ATTNSIM_D bool keep(const KeepRule& r, const AttentionArgs& a, int q, int k) {
  if (r.kind == KeepRule::blocks) return r.kept[q / r.tile_q * r.kv_tiles + k / r.tile_kv] != 0;
  if (r.kind == KeepRule::interval) {
    const int at = q + a.kv_len - a.q_len;
    return (r.left < 0 || k >= at - r.left) && (r.right < 0 || k <= at + r.right);
  }
  for (int axis = kAxes - 1; axis >= 0; --axis) {
    const int n = r.gna.length[axis], dilation = r.gna.dilation[axis], window = r.gna.window[axis], stride = r.gna.stride[axis];
    const int q_at = q % n, k_at = k % n;
    q /= n;
    k /= n;
    if (q_at % dilation != k_at % dilation) return false;
    const int length = (n - q_at % dilation + dilation - 1) / dilation;
    const int in_class = q_at / dilation;
    int leader = in_class - in_class % stride + stride / 2;
    if (leader > length - 1) leader = length - 1;
    int begin = leader - window / 2;
    if (begin > length - window) begin = length - window;
    if (begin < 0) begin = 0;
    if (k_at / dilation < begin || k_at / dilation >= begin + window) return false;
  }
  return true;
}

constexpr int kThreads = 128;

template <class E>
ATTNSIM_D double dot(const E* x, const E* y, int d) {
  double sum = 0;
  for (int i = 0; i < d; ++i) sum += static_cast<double>(to_float(x[i])) * static_cast<double>(to_float(y[i]));
  return sum;
}

// One CTA per row; keys in chunks of one per thread.
template <class E>
__global__ void forward_kernel(AttentionArgs a, int d, KeepRule rule, std::int64_t first, std::int64_t step, double* o, double* lse) {
  double* scores = reinterpret_cast<double*>(shared_memory());  // [kThreads]
  const std::int64_t row = first + step * static_cast<std::int64_t>(blockIdx.x);
  const int head = static_cast<int>(row % a.q_heads);
  const int q = static_cast<int>(row / a.q_heads % a.q_len);
  const int batch = static_cast<int>(row / a.q_heads / a.q_len);
  const int kv_head = head / (a.q_heads / a.kv_heads);
  const int me = static_cast<int>(threadIdx.x);
  const E* q_row = static_cast<const E*>(a.q) + row * d;
  double maximum = -INFINITY, sum = 0, out[2] = {0, 0};  // columns me and me + kThreads
  for (int chunk = 0; chunk < a.kv_len; chunk += kThreads) {
    const int key = chunk + me;
    double score = -INFINITY;
    if (key < a.kv_len && keep(rule, a, q, key)) {
      const std::int64_t at = ((static_cast<std::int64_t>(batch) * a.kv_len + key) * a.kv_heads + kv_head) * d;
      score = dot(q_row, static_cast<const E*>(a.k) + at, d) / sqrt(static_cast<double>(d));
    }
    scores[me] = score;
    sync_block();
    double next = maximum;
    for (int j = 0; j < kThreads; ++j) next = scores[j] > next ? scores[j] : next;
    if (next > -INFINITY) {
      const double factor = exp(maximum - next);
      sum *= factor;
      out[0] *= factor;
      out[1] *= factor;
      for (int j = 0; j < kThreads; ++j) {
        if (scores[j] == -INFINITY) continue;
        const double p = exp(scores[j] - next);
        sum += p;
        const E* v = static_cast<const E*>(a.v) + ((static_cast<std::int64_t>(batch) * a.kv_len + chunk + j) * a.kv_heads + kv_head) * d;
        for (int c = 0; c < 2; ++c) {
          if (me + c * kThreads < d) out[c] += p * static_cast<double>(to_float(v[me + c * kThreads]));
        }
      }
      maximum = next;
    }
    sync_block();
  }
  for (int c = 0; c < 2; ++c) {
    if (me + c * kThreads < d) o[static_cast<std::int64_t>(blockIdx.x) * d + me + c * kThreads] = sum > 0 ? out[c] / sum : 0;
  }
  if (me == 0) lse[blockIdx.x] = maximum + log(sum);
}

// Probability and its gradient for (query row, key), scaled for dq and dk.
template <class E>
ATTNSIM_D bool pair_gradient(const AttentionArgs& a, int d, const KeepRule& rule, const double* lse, const double* delta, int batch,
                             int head, int q, int key, double& p, double& ds) {
  if (!keep(rule, a, q, key)) return false;
  const std::int64_t row = (static_cast<std::int64_t>(batch) * a.q_len + q) * a.q_heads + head;
  const std::int64_t at = ((static_cast<std::int64_t>(batch) * a.kv_len + key) * a.kv_heads + head / (a.q_heads / a.kv_heads)) * d;
  const double scale = 1 / sqrt(static_cast<double>(d));
  p = exp(dot(static_cast<const E*>(a.q) + row * d, static_cast<const E*>(a.k) + at, d) * scale - lse[row]);
  ds = p * (dot(static_cast<const E*>(a.d_o) + row * d, static_cast<const E*>(a.v) + at, d) - delta[row]) * scale;
  return true;
}

// One thread per (row, column).
template <class E>
__global__ void dq_kernel(AttentionArgs a, int d, KeepRule rule, const double* lse, const double* delta, double* dq) {
  const std::int64_t row = blockIdx.x;
  const int c = static_cast<int>(threadIdx.x);
  const int head = static_cast<int>(row % a.q_heads), q = static_cast<int>(row / a.q_heads % a.q_len),
            batch = static_cast<int>(row / a.q_heads / a.q_len);
  double sum = 0;
  for (int key = 0; key < a.kv_len; ++key) {
    double p, ds;
    if (!pair_gradient<E>(a, d, rule, lse, delta, batch, head, q, key, p, ds)) continue;
    const std::int64_t at = ((static_cast<std::int64_t>(batch) * a.kv_len + key) * a.kv_heads + head / (a.q_heads / a.kv_heads)) * d;
    sum += ds * static_cast<double>(to_float(static_cast<const E*>(a.k)[at + c]));
  }
  dq[row * d + c] = sum;
}

template <class E>
__global__ void dkv_kernel(AttentionArgs a, int d, KeepRule rule, const double* lse, const double* delta, double* dk, double* dv) {
  const std::int64_t row = blockIdx.x;
  const int c = static_cast<int>(threadIdx.x);
  const int kv_head = static_cast<int>(row % a.kv_heads), key = static_cast<int>(row / a.kv_heads % a.kv_len);
  const int batch = static_cast<int>(row / a.kv_heads / a.kv_len);
  const int group = a.q_heads / a.kv_heads;
  double sum_k = 0, sum_v = 0;
  for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int q = 0; q < a.q_len; ++q) {
      double p, ds;
      if (!pair_gradient<E>(a, d, rule, lse, delta, batch, head, q, key, p, ds)) continue;
      const std::int64_t at = ((static_cast<std::int64_t>(batch) * a.q_len + q) * a.q_heads + head) * d + c;
      sum_k += ds * static_cast<double>(to_float(static_cast<const E*>(a.q)[at]));
      sum_v += p * static_cast<double>(to_float(static_cast<const E*>(a.d_o)[at]));
    }
  }
  dk[row * d + c] = sum_k;
  dv[row * d + c] = sum_v;
}

template <class E>
__global__ void product_kernel(const E* a, const E* b, double* c, int m, int n, int k) {
  const int j = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int i = static_cast<int>(blockIdx.y);
  if (j >= n || i >= m) return;
  double sum = 0;
  for (int l = 0; l < k; ++l) {
    sum += static_cast<double>(to_float(a[static_cast<std::int64_t>(i) * k + l])) *
           static_cast<double>(to_float(b[static_cast<std::int64_t>(l) * n + j]));
  }
  c[static_cast<std::int64_t>(i) * n + j] = sum;
}

template <class E>
Status backward(const AttentionArgs& a, int d, const KeepRule& rule, const double* lse, const double* delta, double* dq, double* dk,
                double* dv, Stream stream) {
  const dim3 rows(static_cast<unsigned>(a.batch * a.q_len * a.q_heads)), keys(static_cast<unsigned>(a.batch * a.kv_len * a.kv_heads));
  const Status status = launch(dq_kernel<E>, rows, dim3(static_cast<unsigned>(d)), 0, stream, a, d, rule, lse, delta, dq);
  if (status != kSuccess) return status;
  return launch(dkv_kernel<E>, keys, dim3(static_cast<unsigned>(d)), 0, stream, a, d, rule, lse, delta, dk, dv);
}

}  // namespace

Status reference_forward(const AttentionArgs& a, int head_dim, Dtype dtype, const KeepRule& rule, std::int64_t first, std::int64_t step,
                         int rows, double* o, double* lse, Stream stream) {
  if (head_dim > 2 * kThreads) return static_cast<Status>(1);
  const dim3 grid(static_cast<unsigned>(rows));
  const std::size_t shared = kThreads * sizeof(double);
  if (dtype == Dtype::bf16)
    return launch(forward_kernel<Bf16>, grid, dim3(kThreads), shared, stream, a, head_dim, rule, first, step, o, lse);
  return launch(forward_kernel<F16>, grid, dim3(kThreads), shared, stream, a, head_dim, rule, first, step, o, lse);
}

Status reference_backward(const AttentionArgs& a, int head_dim, Dtype dtype, const KeepRule& rule, const double* lse, const double* delta,
                          double* dq, double* dk, double* dv, Stream stream) {
  if (dtype == Dtype::bf16) return backward<Bf16>(a, head_dim, rule, lse, delta, dq, dk, dv, stream);
  return backward<F16>(a, head_dim, rule, lse, delta, dq, dk, dv, stream);
}

Status reference_gemm(const void* a, const void* b, double* c, int m, int n, int k, Dtype dtype, Stream stream) {
  const dim3 grid(static_cast<unsigned>(ceil_div(n, kThreads)), static_cast<unsigned>(m));
  if (dtype == Dtype::bf16) {
    return launch(product_kernel<Bf16>, grid, dim3(kThreads), 0, stream, static_cast<const Bf16*>(a), static_cast<const Bf16*>(b), c, m, n,
                  k);
  }
  return launch(product_kernel<F16>, grid, dim3(kThreads), 0, stream, static_cast<const F16*>(a), static_cast<const F16*>(b), c, m, n, k);
}

}  // namespace attnsim::cuda
