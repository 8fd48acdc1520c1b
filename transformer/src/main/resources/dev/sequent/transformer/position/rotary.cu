// Rotary position embedding of the heads of x (B, T, H, P) in the split-half form: channels i and i + half are a pair,
//
//   y[i] = x[i] cos - x[i + half] sin      y[i + half] = x[i + half] cos + x[i] sin
//
// and channels beyond 2 half are copied. A thread takes one pair or one such channel. The derivative is the rotation back (sign -1).
#include "sequent.cuh"
#include "fused.cuh"

// Sizes and the distances of sequences, tokens and heads of x in elements.
struct Sizes {
    i64 rows, time, heads, width, half, batchStride, tokenStride, headStride, firstPosition;
};

// y (B, T, H, P) is dense; cosines and sines (positions, half) begin with firstPosition.
template <class T> __global__ void rotate(const T* x, T* y, const float* cosines, const float* sines, const int* positions, Sizes n,
        float sign) {
    const i64 items = n.width - n.half;                         // of a head
    for (i64 i = grid_thread(); i < n.rows * n.heads * items; i += grid_threads()) {
        const i64 row = i / (n.heads * items), head = i / items % n.heads, c = i % items;
        const T* in = x + row / n.time * n.batchStride + row % n.time * n.tokenStride + head * n.headStride;
        T* out = y + (row * n.heads + head) * n.width;
        if (c >= n.half) {
            out[n.half + c] = in[n.half + c];
            continue;
        }
        const i64 angle = (positions[row] - n.firstPosition) * n.half + c;
        const float cos = cosines[angle], sin = sines[angle] * sign, a = to_float(in[c]), b = to_float(in[n.half + c]);
        out[c] = from_float<T>(a * cos - b * sin);
        out[n.half + c] = from_float<T>(b * cos + a * sin);
    }
}
