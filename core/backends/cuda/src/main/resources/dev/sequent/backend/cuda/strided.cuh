// What the backend's own kernels share: where the elements of strided operands lie, and how elements become numbers.
#pragma once
#include "sequent.cuh"

constexpr int MAX_RANK = 12;

// Sizes of the axes and, for each of N operands, the distance of neighbours along them, in elements.
template <int N> struct Space { i64 rank, size[MAX_RANK], stride[N][MAX_RANK]; };

// Positions of element i (in row-major order of the sizes) in all operands.
template <int N> __device__ __forceinline__ void locate(const Space<N>& s, i64 i, i64 (&at)[N]) {
    for (int k = 0; k < N; k++) at[k] = 0;
    for (int axis = (int) s.rank - 1; axis > 0; axis--) {
        i64 size = s.size[axis], rest;
        if ((i | size) >> 32) rest = i / size;
        else rest = (u32) i / (u32) size;           // many times faster than the division of 64 bits
        i64 c = i - rest * size;
        for (int k = 0; k < N; k++) at[k] += c * s.stride[k][axis];
        i = rest;
    }
    for (int k = 0; k < N; k++) at[k] += i * s.stride[k][0];
}

// The type in which elements are computed with: floats of 16 bits as float, integers as i64, exact modulo 2^64.
template <class T> struct Compute { typedef float type; };
template <> struct Compute<double> { typedef double type; };
template <> struct Compute<i64> { typedef i64 type; };
template <> struct Compute<i32> { typedef i64 type; };
template <> struct Compute<u8> { typedef i64 type; };

__device__ __forceinline__ float number(float x) { return x; }
__device__ __forceinline__ float number(bf16 x) { return to_float(x); }
__device__ __forceinline__ float number(f16 x) { return to_float(x); }
__device__ __forceinline__ double number(double x) { return x; }
__device__ __forceinline__ i64 number(i64 x) { return x; }
__device__ __forceinline__ i64 number(i32 x) { return x; }
__device__ __forceinline__ i64 number(u8 x) { return x; }

template <class T> struct Element;
template <> struct Element<float> { template <class C> static __device__ __forceinline__ float of(C x) { return (float) x; } };
template <> struct Element<double> { template <class C> static __device__ __forceinline__ double of(C x) { return (double) x; } };
template <> struct Element<bf16> { template <class C> static __device__ __forceinline__ bf16 of(C x) { return to_bf16((float) x); } };
template <> struct Element<f16> { template <class C> static __device__ __forceinline__ f16 of(C x) { return to_f16((float) x); } };
template <> struct Element<i64> { template <class C> static __device__ __forceinline__ i64 of(C x) { return (i64) x; } };
template <> struct Element<i32> { template <class C> static __device__ __forceinline__ i32 of(C x) { return (i32) (i64) x; } };
template <> struct Element<u8> { template <class C> static __device__ __forceinline__ u8 of(C x) { return x != 0; } };

__device__ __forceinline__ bool is_nan(float x) { return x != x; }
__device__ __forceinline__ bool is_nan(double x) { return x != x; }
__device__ __forceinline__ bool is_nan(i64) { return false; }
__device__ __forceinline__ bool is_negative(float x) { return __float_as_int(x) < 0; }
__device__ __forceinline__ bool is_negative(double x) { return __double_as_longlong(x) < 0; }
__device__ __forceinline__ bool is_negative(i64 x) { return x < 0; }

// NaN wins, and of two zeros the positive one is greater.
template <class C> __device__ __forceinline__ C greater(C a, C b) {
    if (is_nan(a)) return a;
    if (is_nan(b)) return b;
    return a == b ? (is_negative(a) ? b : a) : a > b ? a : b;
}
template <class C> __device__ __forceinline__ C lesser(C a, C b) {
    if (is_nan(a)) return a;
    if (is_nan(b)) return b;
    return a == b ? (is_negative(a) ? a : b) : a < b ? a : b;
}
// Integers wrap around: signed overflow has no meaning in C++, unsigned has.
template <class C> __device__ __forceinline__ C sum_of(C a, C b) { return a + b; }
template <> __device__ __forceinline__ i64 sum_of<i64>(i64 a, i64 b) { return (i64) ((u64) a + (u64) b); }
template <class C> __device__ __forceinline__ C product_of(C a, C b) { return a * b; }
template <> __device__ __forceinline__ i64 product_of<i64>(i64 a, i64 b) { return (i64) ((u64) a * (u64) b); }
