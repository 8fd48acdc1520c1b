// What every kernel may include: number types, shared memory, reductions. No toolkit header is needed, so a machine with only the
// driver and the run-time compiler can compile it. Under CPU_SHIM (g++ and the testkit's cuda_shim.h) the same source runs on the CPU.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;

#define FULL_WARP 0xffffffffu
#define POSITIVE_INFINITY __int_as_float(0x7f800000)
#define NEGATIVE_INFINITY __int_as_float((int) 0xff800000)
#define QUIET_NAN __int_as_float(0x7fc00000)
#define NOT_A_NUMBER __int_as_float(0x7fc00000)

// SHARED(float, tile, [32][33]); declares shared memory of one block, DYNAMIC_SHARED(float, buffer); a pointer to its dynamic part.
// On the CPU both start as NaN in every block.
#ifdef CPU_SHIM
#define SHARED(T, name, ...) static shim::Site name##_site; auto& name = name##_site.get<T __VA_ARGS__>()
#define DYNAMIC_SHARED(T, name) T* name = (T*) (((uintptr_t) shim::block.dynamic.data() + 15) & ~(uintptr_t) 15)
#else
#define SHARED(T, name, ...) __shared__ T name __VA_ARGS__
#define DYNAMIC_SHARED(T, name) extern __shared__ __align__(128) unsigned char sequent_dynamic_shared[]; T* name = reinterpret_cast<T*>(sequent_dynamic_shared)
#endif

// Kernel parameters that Java passes as an array: a struct by value.
template <class T, int N> struct Values { T at[N]; };

// 16-bit floats are bits; arithmetic happens in float. Conversions round to nearest even and keep NaN a NaN.
struct bf16 { u16 bits; };
struct f16 { u16 bits; };

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(double x) { return (float) x; }
__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float((u32) x.bits << 16); }
__device__ __forceinline__ float to_float(f16 x) {
#ifdef CPU_SHIM
    u32 e = x.bits >> 10 & 31, m = x.bits & 1023, sign = (u32) (x.bits >> 15) << 31;
    if (e == 31) return __uint_as_float(sign | 0x7f800000u | m << 13);
    if (e) return __uint_as_float(sign | (e + 112) << 23 | m << 13);
    return (sign ? -1.0f : 1.0f) * ((float) m * 5.9604644775390625e-8f);
#else
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#endif
}
__device__ __forceinline__ bf16 to_bf16(float x) {
#if defined(CPU_SHIM) || __CUDA_ARCH__ < 800
    u32 u = __float_as_uint(x);
    return {(u16) ((u & 0x7fffffffu) > 0x7f800000u ? 0x7fff : (u + 0x7fffu + (u >> 16 & 1)) >> 16)};
#else
    bf16 y;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
#endif
}
__device__ __forceinline__ f16 to_f16(float x) {
#ifdef CPU_SHIM
    u32 u = __float_as_uint(x), a = u & 0x7fffffffu, sign = u >> 16 & 0x8000u;
    if (a > 0x7f800000u) return {(u16) (sign | 0x7fff)};
    if (a >= 0x477ff000u) return {(u16) (sign | 0x7c00)};
    if (a < 0x38800000u) return {(u16) (sign | (u32) std::nearbyint(__uint_as_float(a) * 16777216.0f))};
    a += 0xfffu + (a >> 13 & 1);
    return {(u16) (sign | (a - 0x38000000u) >> 13)};
#else
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
#endif
}
template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ double from_float<double>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return to_bf16(x); }
template <> __device__ __forceinline__ f16 from_float<f16>(float x) { return to_f16(x); }

// Sums and maxima over the 32 lanes of a warp, all of which must come here; every lane receives the result. Pairs are combined in a
// fixed order, so the same numbers give the same bits.
template <class T> __device__ __forceinline__ T warp_sum(T x) {
    for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(FULL_WARP, x, d);
    return x;
}
template <class T> __device__ __forceinline__ T warp_max(T x) {
    for (int d = 16; d > 0; d >>= 1) {
        T y = __shfl_xor_sync(FULL_WARP, x, d);
        x = y > x ? y : x;
    }
    return x;
}

// The same over a block of THREADS threads in a row, a multiple of 32, all of which must come here.
template <int THREADS, class T> __device__ __forceinline__ T block_sum(T x) {
    static_assert(THREADS % 32 == 0, "whole warps");
    SHARED(T, partial, [THREADS / 32]);
    x = warp_sum(x);
    __syncthreads();                        // a call before this one may still be reading
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
    __syncthreads();
    T sum = partial[0];
    for (int w = 1; w < THREADS / 32; w++) sum += partial[w];
    return sum;
}
template <int THREADS, class T> __device__ __forceinline__ T block_max(T x) {
    static_assert(THREADS % 32 == 0, "whole warps");
    SHARED(T, partial, [THREADS / 32]);
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = x;
    __syncthreads();
    T best = partial[0];
    for (int w = 1; w < THREADS / 32; w++) best = partial[w] > best ? partial[w] : best;
    return best;
}

// This thread's number in the whole grid and the number of threads, for loops that stride by the grid.
__device__ __forceinline__ i64 grid_thread() { return (i64) blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ i64 grid_threads() { return (i64) gridDim.x * blockDim.x; }
