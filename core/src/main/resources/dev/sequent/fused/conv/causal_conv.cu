// Causal depthwise convolution along time, forward and backward, on tensors (B, T, E):
//
//   y_t = f(bias + sum_k weight_k x_{t-TAPS+1+k})      f = SiLU or the identity
//
// A thread owns one channel of one sequence and walks along a chunk of time with the last TAPS - 1 inputs in registers: every input is
// read once, by reads that are coalesced along E. Padding (SKIP) does not enter the window, a document's first token (RESET) empties it.
//
// Backward in one walk: beside each input in the window stands its derivative so far, complete when the input leaves the window. The walk
// goes on beyond the end of its chunk until the chunk's own inputs have left; what lies before the chunk belongs to other threads.
// Derivatives by weight and bias are sums of chunks, added up in order by sum_parts.
//
// Macro: TAPS, the kernel's width K.
#include "sequent.cuh"
#include "fused.cuh"

constexpr int THREADS = 128;
constexpr int RESET = 1, SKIP = 2;
constexpr int NOBODY = -1;

// Sizes, and the distance of tokens of x.
struct Sizes {
    i64 time, channels, silu, chunk, xRow;
};
// The operands, null where absent: x (B, T, E), weight (E, 1, TAPS), bias (E), initial (B, TAPS - 1, E), flags (B, T). `starts` (B, chunks,
// TAPS - 1) says where the window before each chunk comes from, and is null where there are no flags.
template <class T> struct Operands {
    const T *x, *weight, *bias, *initial;
    const int *flags, *starts;
};

// One thread's window, oldest input first. An input's source is its token, or -2 - r for row r of the initial state, or NOBODY.
template <class T> struct Window {
    float w[TAPS], bias, input[TAPS - 1];
    int batch, channel, from, to;

    __device__ __forceinline__ Window(const Operands<T>& o, const Sizes& n, int (&source)[TAPS - 1]) {
        batch = blockIdx.y;
        channel = blockIdx.x * THREADS + threadIdx.x;
        from = (int) (blockIdx.z * n.chunk);
        to = (int) min(from + n.chunk, n.time);
        if (channel >= n.channels) return;
        bias = o.bias ? to_float(o.bias[channel]) : 0.f;
#pragma unroll
        for (int k = 0; k < TAPS; k++) w[k] = to_float(o.weight[(i64) channel * TAPS + k]);
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) {
            const int token = from - (TAPS - 1) + k;
            const int s = o.starts ? o.starts[((i64) batch * gridDim.z + blockIdx.z) * (TAPS - 1) + k] : token >= 0 ? token : -2
                    - (TAPS - 1 + token);
            input[k] = 0.f;
            if (s >= 0) input[k] = to_float(o.x[((i64) batch * n.time + s) * n.xRow + channel]);
            else if (s != NOBODY && o.initial) input[k] = to_float(o.initial[((i64) batch * (TAPS - 1) + (-2 - s)) * n.channels + channel]);
            source[k] = s;
        }
    }
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) input[k] = 0.f;
    }
    // The value before the activation, with x as the newest input.
    __device__ __forceinline__ float sum(float x) const {
        float s = bias + w[TAPS - 1] * x;
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) s += w[k] * input[k];
        return s;
    }
    __device__ __forceinline__ void push(float x) {
#pragma unroll
        for (int k = 0; k < TAPS - 2; k++) input[k] = input[k + 1];
        input[TAPS - 2] = x;
    }
};

// Writes y (B, T, E) and the last TAPS - 1 inputs, (B, TAPS - 1, E).
template <class T> __global__ void __launch_bounds__(THREADS)
conv_forward(Operands<T> o, Sizes n, T* y, T* last) {
    int source[TAPS - 1];
    Window<T> window(o, n, source);
    if (window.channel >= n.channels) return;
    for (int t = window.from; t < window.to; t++) {
        const i64 row = (i64) window.batch * n.time + t;
        const int flag = o.flags ? o.flags[row] : 0;
        if (flag & RESET) window.clear();
        float out = 0.f;
        if (!(flag & SKIP)) {
            const float x = to_float(o.x[row * n.xRow + window.channel]);
            out = window.sum(x);
            if (n.silu) out = silu(out);
            window.push(x);
        }
        y[row * n.channels + window.channel] = from_float<T>(out);
    }
    if (window.to < n.time) return;
#pragma unroll
    for (int k = 0; k < TAPS - 1; k++) {
        last[((i64) window.batch * (TAPS - 1) + k) * n.channels + window.channel] = from_float<T>(window.input[k]);
    }
}

// Derivatives of the inputs in the window, each with its source: NOBODY where the input is not this thread's.
template <class T> struct Pending {
    float sum[TAPS - 1];
    int source[TAPS - 1];
    T *dx, *dinitial;

    __device__ __forceinline__ void write(int k, const Window<T>& window, const Sizes& n) const {
        if (source[k] >= 0) dx[((i64) window.batch * n.time + source[k]) * n.channels + window.channel] = from_float<T>(sum[k]);
        else if (source[k] != NOBODY) dinitial[((i64) window.batch * (TAPS - 1) + (-2 - source[k])) * n.channels
                + window.channel] = from_float<T>(sum[k]);
    }
    __device__ __forceinline__ bool any() const {
        bool found = false;
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) found = found || source[k] != NOBODY;
        return found;
    }
    // All inputs leave.
    __device__ __forceinline__ void flush(const Window<T>& window, const Sizes& n) {
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) {
            write(k, window, n);
            source[k] = NOBODY;
        }
    }
    // The oldest input leaves, a new one comes.
    __device__ __forceinline__ void push(const Window<T>& window, const Sizes& n, float first, int from) {
        write(0, window, n);
#pragma unroll
        for (int k = 0; k < TAPS - 2; k++) {
            sum[k] = sum[k + 1];
            source[k] = source[k + 1];
        }
        sum[TAPS - 2] = first;
        source[TAPS - 2] = from;
    }
};

// Derivatives by x and the initial state, and parts of those by weight (B chunks, E, TAPS) and bias (B chunks, E). dy, dlast null for
// zeros.
template <class T> __global__ void __launch_bounds__(THREADS)
conv_backward(Operands<T> o, Sizes n, const T* dy, const T* dlast, T* dx, T* dinitial, float* weightParts, float* biasParts) {
    Pending<T> pending;
    Window<T> window(o, n, pending.source);
    if (window.channel >= n.channels) return;
    pending.dx = dx;
    pending.dinitial = dinitial;
    float dw[TAPS] = {}, dbias = 0.f;
#pragma unroll
    for (int k = 0; k < TAPS - 1; k++) {
        pending.sum[k] = 0.f;
        if (window.from > 0 || !dinitial) pending.source[k] = NOBODY;
    }
    for (int t = window.from; t < n.time && (t < window.to || pending.any()); t++) {
        const i64 row = (i64) window.batch * n.time + t;
        const int flag = o.flags ? o.flags[row] : 0;
        const bool own = t < window.to;
        if (flag & RESET) {
            pending.flush(window, n);
            window.clear();
        }
        if (flag & SKIP) {
            if (own) dx[row * n.channels + window.channel] = from_float<T>(0.f);
            continue;
        }
        const float x = to_float(o.x[row * n.xRow + window.channel]);
        float d = dy ? to_float(dy[row * n.channels + window.channel]) : 0.f;
        if (n.silu) d *= silu_slope(window.sum(x));
#pragma unroll
        for (int k = 0; k < TAPS - 1; k++) {
            pending.sum[k] += window.w[k] * d;
            if (own) dw[k] += window.input[k] * d;
        }
        if (own) {
            dw[TAPS - 1] += x * d;
            dbias += d;
        }
        pending.push(window, n, window.w[TAPS - 1] * d, own ? t : NOBODY);
        window.push(x);
    }
    // what is still in the window is the final state
#pragma unroll
    for (int k = 0; k < TAPS - 1; k++) {
        if (dlast) pending.sum[k] += to_float(dlast[((i64) window.batch * (TAPS - 1) + k) * n.channels + window.channel]);
    }
    pending.flush(window, n);
    const i64 part = ((i64) window.batch * gridDim.z + blockIdx.z) * n.channels + window.channel;
#pragma unroll
    for (int k = 0; k < TAPS; k++) weightParts[part * TAPS + k] = dw[k];
    if (biasParts) biasParts[part] = dbias;
}
