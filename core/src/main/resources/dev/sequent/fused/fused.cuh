// What the fused kernels share beyond sequent.cuh.
#pragma once
#include "sequent.cuh"

// 2^x by the special function unit, off by 2 units in the last place; subnormal results are zero.
__device__ __forceinline__ float exp2_fast(float x) {
#ifdef CPU_SHIM
    return exp2f(x);
#else
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
#endif
}
__device__ __forceinline__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }
__device__ __forceinline__ float silu(float x) { return x * sigmoid(x); }
// Derivative of silu.
__device__ __forceinline__ float silu_slope(float x) {
    const float p = sigmoid(x);
    return p * (1.f + x * (1.f - p));
}

// out_i = sum over k of parts[k][i], in ascending order of k: how partial sums of blocks become one, the same every time.
template <class T> __global__ void sum_parts(const float* parts, i64 count, i64 size, T* out) {
    for (i64 i = grid_thread(); i < size; i += grid_threads()) {
        float sum = 0.f;
        for (i64 k = 0; k < count; k++) sum += parts[k * size + i];
        out[i] = from_float<T>(sum);
    }
}

// The largest element of a row and the sum of the exponentials of the others' distances to it.
struct Exponentials {
    float largest, sum;
};
// By all THREADS threads of a block, in one pass: a thread's sum is rescaled whenever it meets a larger element.
template <int THREADS, class T> __device__ __forceinline__ Exponentials row_exponentials(const T* row, int width) {
    float largest = -3.4e38f, sum = 0.f;                        // finite, so that rows of negative infinities do not subtract infinities
    for (int i = threadIdx.x; i < width; i += THREADS) {
        const float v = to_float(row[i]);
        if (v > largest) {
            sum = sum * expf(largest - v) + 1.f;
            largest = v;
        } else {
            sum += expf(v - largest);                           // NaN comes here and stays
        }
    }
    const float all = block_max<THREADS>(largest);
    return {all, block_sum<THREADS>(sum * expf(largest - all))};
}

// What is wrong with indices: found[0] receives the position of the first one that is not below `bound`, or is negative unless that is
// allowed (`count` if there is none), found[1] the number of indices that are not negative. By one block.
template <class I> __global__ void __launch_bounds__(256) check_indices(const I* indices, i64 count, i64 bound, int allowNegative,
        i64* found) {
    i64 bad = count, valid = 0;
    for (i64 i = threadIdx.x; i < count; i += 256) {
        const I index = indices[i];
        if (bad == count && (index >= bound || (index < 0 && !allowNegative))) bad = i;
        valid += index >= 0;
    }
    bad = -block_max<256>(-bad);
    valid = block_sum<256>(valid);
    if (threadIdx.x == 0) {
        found[0] = bad;
        found[1] = valid;
    }
}
