// Optimizer steps over many tensors in one launch: a thousand small parameters cost a few launches, not a thousand. The tensors' addresses,
// sizes and factors travel as kernel parameters, for COUNT tensors at a time; a block takes one chunk of one tensor. Arithmetic is in float
// and is rounded once to the tensors' type.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 256;
constexpr int COUNT = 48;           // as many as fit into 4096 bytes of parameters
constexpr i64 CHUNK = 4096;

// Parameters, gradients and up to two moments of the tensors.
template <class T> struct Tensors {
    T *p[COUNT], *g[COUNT], *m[COUNT], *v[COUNT];
};
using Sizes = Values<i64, COUNT>;
using Starts = Values<int, COUNT>;  // number of each tensor's first chunk, ascending; beyond the last tensor the number of chunks
// A block's share.
struct Share {
    int tensor;
    i64 from, to;
    __device__ Share(const Sizes& sizes, const Starts& starts) {
        tensor = 0;
        for (int i = 1; i < COUNT; i++) if (starts.at[i] <= (int) blockIdx.x) tensor = i;
        from = (blockIdx.x - starts.at[tensor]) * CHUNK;
        to = min(from + CHUNK, sizes.at[tensor]);
    }
};

// AdamW (Loshchilov and Hutter 2019): g = scale gradient; m += (1 - beta1) (g - m); v += (1 - beta2) (g^2 - v); p = keep p - step m / (root
// sqrt(v) + eps). Factors of a tensor: 1 - beta1, 1 - beta2, eps, keep, step, root, scale.
template <class T> __global__ void __launch_bounds__(THREADS) adamw(Tensors<T> x, Sizes sizes, Starts starts, Values<float,
        7 * COUNT> factors) {
    const Share share(sizes, starts);
    const float* f = factors.at + 7 * share.tensor;
    T *p = x.p[share.tensor], *m = x.m[share.tensor], *v = x.v[share.tensor];
    const T* gradient = x.g[share.tensor];
    for (i64 i = share.from + threadIdx.x; i < share.to; i += THREADS) {
        const float g = to_float(gradient[i]) * f[6];
        float m1 = to_float(m[i]), v1 = to_float(v[i]);
        m1 += f[0] * (g - m1);
        v1 += f[1] * (g * g - v1);
        m[i] = from_float<T>(m1);
        v[i] = from_float<T>(v1);
        p[i] = from_float<T>(f[3] * to_float(p[i]) - f[4] * m1 / (f[5] * sqrtf(v1) + f[2]));
    }
}

// Gradient descent: g = scale gradient + decay p; m = momentum m + g; p -= rate (nesterov ? g + momentum m : m).
// Factors of a tensor: rate, momentum, decay, nesterov, scale.
template <class T> __global__ void __launch_bounds__(THREADS) sgd(Tensors<T> x, Sizes sizes, Starts starts, Values<float,
        5 * COUNT> factors) {
    const Share share(sizes, starts);
    const float* f = factors.at + 5 * share.tensor;
    T *p = x.p[share.tensor], *m = x.m[share.tensor];
    const T* gradient = x.g[share.tensor];
    for (i64 i = share.from + threadIdx.x; i < share.to; i += THREADS) {
        const float old = to_float(p[i]), g = to_float(gradient[i]) * f[4] + f[2] * old, m1 = f[1] * to_float(m[i]) + g;
        m[i] = from_float<T>(m1);
        p[i] = from_float<T>(old - f[0] * (f[3] != 0.f ? g + f[1] * m1 : m1));
    }
}

// The sum of the squares of every chunk of the tensors g, in double; `sums` begins with the first chunk's.
template <class T> __global__ void __launch_bounds__(THREADS) sum_squares(Values<const T*, COUNT> x, Sizes sizes, Starts starts,
        double* sums, i64 first) {
    const Share share(sizes, starts);
    double sum = 0;
    for (i64 i = share.from + threadIdx.x; i < share.to; i += THREADS) {
        const double g = to_float(x.at[share.tensor][i]);
        sum += g * g;
    }
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) sums[first + blockIdx.x] = sum;
}

// The sum of the chunks' sums, by one block.
template <class T> __global__ void __launch_bounds__(THREADS) add_sums(const T* sums, i64 count, T* total) {
    T sum = 0;
    for (i64 i = threadIdx.x; i < count; i += THREADS) sum += sums[i];
    sum = block_sum<THREADS>(sum);
    if (threadIdx.x == 0) *total = sum;
}
