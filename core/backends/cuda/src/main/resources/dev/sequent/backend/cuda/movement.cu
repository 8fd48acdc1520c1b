// Kernels that make or move elements. Elements that are only moved are words of 1, 2, 4 or 8 bytes.
#include "strided.cuh"

template <class W> __global__ void fill(W* y, u64 word, i64 n) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) y[i] = (W) word;
}
// Element i of x to element i of y, both strided, whatever their layouts.
template <class W> __global__ void copy(const W* x, W* y, i64 n, Space<2> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[2];
        locate(space, i, at);
        y[at[1]] = x[at[0]];
    }
}
// The transposition of `batch` matrices: x (rows, columns) with columns apart by xColumn and rows side by side, y dense by rows. Tiles of
// 32 x 32 go through shared memory, so that both sides are read and written along their memory.
template <class W> __global__ void transpose(const W* x, W* y, i64 rows, i64 columns, i64 xColumn, i64 xBatch) {
    SHARED(W, tile, [32][33]);
    i64 row0 = (i64) blockIdx.y * 32, column0 = (i64) blockIdx.x * 32;
    x += blockIdx.z * xBatch;
    y += blockIdx.z * rows * columns;
    for (int k = threadIdx.y; k < 32; k += blockDim.y) {
        i64 row = row0 + threadIdx.x, column = column0 + k;
        if (row < rows && column < columns) tile[k][threadIdx.x] = x[column * xColumn + row];
    }
    __syncthreads();
    for (int k = threadIdx.y; k < 32; k += blockDim.y) {
        i64 row = row0 + k, column = column0 + threadIdx.x;
        if (row < rows && column < columns) y[row * columns + column] = tile[threadIdx.x][k];
    }
}
template <class W> __global__ void where(const u8* condition, const W* a, const W* b, W* y, i64 n, Space<3> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[3];
        locate(space, i, at);
        y[i] = condition[at[0]] ? a[at[1]] : b[at[2]];
    }
}
template <class From, class To> __device__ __forceinline__ void convert(const From* x, void* y, i64 i, i64 at) {
    ((To*) y)[i] = Element<To>::of(number(x[at]));
}
// DTYPE_* are the ordinals of the Java enum.
template <class From> __global__ void cast(int to, const From* x, void* y, i64 n, Space<1> space) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) {
        i64 at[1];
        locate(space, i, at);
        switch (to) {
            case DTYPE_F64: convert<From, double>(x, y, i, at[0]); break;
            case DTYPE_F32: convert<From, float>(x, y, i, at[0]); break;
            case DTYPE_F16: convert<From, f16>(x, y, i, at[0]); break;
            case DTYPE_BF16: convert<From, bf16>(x, y, i, at[0]); break;
            case DTYPE_I64: convert<From, i64>(x, y, i, at[0]); break;
            case DTYPE_I32: convert<From, i32>(x, y, i, at[0]); break;
            default: convert<From, u8>(x, y, i, at[0]); break;
        }
    }
}
template <class T> __global__ void iota(T* y, i64 n) {
    for (i64 i = grid_thread(); i < n; i += grid_threads()) y[i] = Element<T>::of(i);
}

// Rounds a number in [0, 1) of 24 bits toward zero.
template <class T> __device__ __forceinline__ T truncated(float x) { return Element<T>::of(x); }
template <> __device__ __forceinline__ bf16 truncated<bf16>(float x) { return {(u16) (__float_as_uint(x) >> 16)}; }
template <> __device__ __forceinline__ f16 truncated<f16>(float x) {
    u32 a = __float_as_uint(x);
    if (a < 0x38800000u) return {(u16) (x * 16777216.0f)};      // below the smallest normal number: steps of 2^-24
    return {(u16) ((a - 0x38000000u) >> 13)};
}
// Uniform numbers by Philox 4x32-10 (Salmon et al. 2011): a thread computes one block of four words.
template <class T> __global__ void uniform(T* y, i64 n, u64 seed, i64 offset) {
    i64 first = offset >> 2, blocks = ((offset + n - 1) >> 2) - first + 1;
    for (i64 b = grid_thread(); b < blocks; b += grid_threads()) {
        u64 counter = (u64) (first + b);
        u32 k0 = (u32) seed, k1 = (u32) (seed >> 32), c[4] = {(u32) counter, (u32) (counter >> 32), 0, 0};
#pragma unroll
        for (int round = 0; round < 10; round++) {
            u64 p0 = (u64) 0xD2511F53u * c[0], p1 = (u64) 0xCD9E8D57u * c[2];
            u32 c1 = c[1], c3 = c[3];
            c[0] = (u32) (p1 >> 32) ^ c1 ^ k0;
            c[1] = (u32) p1;
            c[2] = (u32) (p0 >> 32) ^ c3 ^ k1;
            c[3] = (u32) p0;
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
#pragma unroll
        for (int w = 0; w < 4; w++) {
            i64 i = (first + b) * 4 + w - offset;
            if (i >= 0 && i < n) y[i] = truncated<T>((float) (c[w] >> 8) * 5.9604644775390625e-8f);
        }
    }
}
