// Reductions, positions of extremes, and cumulative reductions. Sums of 16-bit floats run in float, of integers in i64; the order of
// summation depends on the shape alone. REDUCE_* are the ordinals of the Java enum. Loops are not unrolled: that would multiply the
// branches by operation, and so the time that the run-time compiler takes.
#include "strided.cuh"

template <class C> __device__ __forceinline__ C identity(int op) {
    switch (op) {
        case REDUCE_SUM: return 0;
        case REDUCE_PROD: return 1;
        case REDUCE_MAX: return (C) NEGATIVE_INFINITY;
        default: return (C) POSITIVE_INFINITY;
    }
}
template <> __device__ __forceinline__ i64 identity<i64>(int op) {
    switch (op) {
        case REDUCE_SUM: return 0;
        case REDUCE_PROD: return 1;
        case REDUCE_MAX: return (i64) 0x8000000000000000ull;
        default: return 0x7fffffffffffffffll;
    }
}
template <class C> __device__ __forceinline__ C combine(int op, C a, C b) {
    switch (op) {
        case REDUCE_SUM: return sum_of(a, b);
        case REDUCE_PROD: return product_of(a, b);
        case REDUCE_MAX: return greater(a, b);
        default: return lesser(a, b);
    }
}
// The extreme that an empty reduction of I32 gives is I32's own.
template <class T> __device__ __forceinline__ T finished(int, typename Compute<T>::type x) { return Element<T>::of(x); }
template <> __device__ __forceinline__ i32 finished<i32>(int op, i64 x) {
    if (op == REDUCE_MAX && x == identity<i64>(op)) return (i32) 0x80000000;
    return op == REDUCE_MIN && x == identity<i64>(op) ? 0x7fffffff : (i32) x;
}

// Kept axes and reduced axes of x. Output o is the reduction over part `p` of the reduced elements, [p chunk, (p + 1) chunk).
struct Axes { Space<1> kept, reduced; };

__device__ __forceinline__ i64 position(const Space<1>& s, i64 i) {
    if (s.rank == 1) return i * s.stride[0][0];
    i64 at[1];
    locate(s, i, at);
    return at[0];
}
// A thread for each output and part: for short reductions, and where neighbouring outputs are neighbours in memory.
template <class T, class Y> __global__ void reduce_by_thread(int op, const T* x, Y* y, i64 outputs, i64 length, i64 chunk, Axes axes) {
    typedef typename Compute<T>::type C;
    i64 parts = (length + chunk - 1) / chunk, work = outputs * (parts > 1 ? parts : 1);
    for (i64 w = grid_thread(); w < work; w += grid_threads()) {
        i64 o = w % outputs, part = w / outputs, end = (part + 1) * chunk < length ? (part + 1) * chunk : length;
        const T* from = x + position(axes.kept, o);
        C sum = identity<C>(op);
#pragma unroll 1
        for (i64 k = part * chunk; k < end; k++) sum = combine(op, sum, number(from[position(axes.reduced, k)]));
        y[w] = finished<Y>(op, sum);
    }
}
// A block for each output and part, whose 256 threads stride over the elements.
template <class T, class Y> __global__ void reduce_by_block(int op, const T* x, Y* y, i64 outputs, i64 length, i64 chunk, Axes axes) {
    typedef typename Compute<T>::type C;
    SHARED(C, partial, [256]);
    i64 parts = (length + chunk - 1) / chunk, work = outputs * (parts > 1 ? parts : 1);
    for (i64 w = blockIdx.x; w < work; w += gridDim.x) {
        i64 o = w % outputs, part = w / outputs, end = (part + 1) * chunk < length ? (part + 1) * chunk : length;
        const T* from = x + position(axes.kept, o);
        C sum = identity<C>(op);
#pragma unroll 1
        for (i64 k = part * chunk + threadIdx.x; k < end; k += 256) sum = combine(op, sum, number(from[position(axes.reduced, k)]));
        partial[threadIdx.x] = sum;
        __syncthreads();
#pragma unroll 1
        for (int d = 128; d > 0; d >>= 1) {
            if ((int) threadIdx.x < d) partial[threadIdx.x] = combine(op, partial[threadIdx.x], partial[threadIdx.x + d]);
            __syncthreads();
        }
        if (threadIdx.x == 0) y[w] = finished<Y>(op, partial[0]);
        __syncthreads();
    }
}

// Whether candidate (a, i) is a better extreme than (b, j): NaN before numbers, then the value, then the smaller index.
template <class C> __device__ __forceinline__ bool beats(int op, C a, i64 i, C b, i64 j) {
    if (j < 0) return i >= 0;
    if (i < 0) return false;
    if (is_nan(a) || is_nan(b)) return is_nan(a) && (!is_nan(b) || i < j);
    if (a == b) return i < j;
    return op == REDUCE_MAX ? a > b : a < b;
}
template <class T> __global__ void arg_reduce(int op, const T* x, i64* y, i64 outputs, i64 length, i64 stride, Space<1> kept) {
    typedef typename Compute<T>::type C;
    SHARED(C, value, [256]);
    SHARED(i64, index, [256]);
    int t = threadIdx.x;
    for (i64 o = blockIdx.x; o < outputs; o += gridDim.x) {
        const T* from = x + position(kept, o);
        C best = 0;
        i64 at = -1;
#pragma unroll 1
        for (i64 k = t; k < length; k += 256) {
            C candidate = number(from[k * stride]);
            if (beats(op, candidate, k, best, at)) {
                best = candidate;
                at = k;
            }
        }
        value[t] = best;
        index[t] = at;
        __syncthreads();
#pragma unroll 1
        for (int d = 128; d > 0; d >>= 1) {
            if (t < d && beats(op, value[t + d], index[t + d], value[t], index[t])) {
                value[t] = value[t + d];
                index[t] = index[t + d];
            }
            __syncthreads();
        }
        if (t == 0) y[o] = index[0];
        __syncthreads();
    }
}

// Indices of the k largest elements of dense rows, one after the other: each pass of the block finds the best element that comes
// after the last one in the order (value descending, NaN first, index ascending).
template <class T> __global__ void top_k(const T* x, i64* y, i64 rows, i64 length, i64 k) {
    typedef typename Compute<T>::type C;
    SHARED(C, value, [256]);
    SHARED(i64, index, [256]);
    int t = threadIdx.x;
    for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        const T* from = x + row * length;
        C last = 0;
        i64 lastAt = -1;
#pragma unroll 1
        for (i64 rank = 0; rank < k; rank++) {
            C best = 0;
            i64 at = -1;
#pragma unroll 1
            for (i64 i = t; i < length; i += 256) {
                C candidate = number(from[i]);
                bool open = lastAt < 0 || (i != lastAt && beats(REDUCE_MAX, last, lastAt, candidate, i));
                if (open && beats(REDUCE_MAX, candidate, i, best, at)) {
                    best = candidate;
                    at = i;
                }
            }
            value[t] = best;
            index[t] = at;
            __syncthreads();
#pragma unroll 1
            for (int d = 128; d > 0; d >>= 1) {
                if (t < d && beats(REDUCE_MAX, value[t + d], index[t + d], value[t], index[t])) {
                    value[t] = value[t + d];
                    index[t] = index[t + d];
                }
                __syncthreads();
            }
            last = value[0];
            lastAt = index[0];
            if (t == 0) y[row * k + rank] = lastAt;
            __syncthreads();
        }
    }
}

// Inclusive cumulative reduction of lines of `length` elements. A line is position(lines, i) and goes on by `stride`; y is laid out with
// the same lines as a dense tensor: outputs at (line / inner) length inner + k inner + line % inner.
template <class T> __global__ void scan_by_thread(int op, const T* x, T* y, i64 lines, i64 length, i64 stride, i64 inner, int reverse, Space<1> space) {
    typedef typename Compute<T>::type C;
    for (i64 line = grid_thread(); line < lines; line += grid_threads()) {
        const T* from = x + position(space, line);
        T* to = y + line / inner * length * inner + line % inner;
        C sum = identity<C>(op);
#pragma unroll 1
        for (i64 k = 0; k < length; k++) {
            i64 at = reverse ? length - 1 - k : k;
            sum = combine(op, sum, number(from[at * stride]));
            to[at * inner] = Element<T>::of(sum);
        }
    }
}
// A block for each line: tiles of 256 elements, each scanned in shared memory in eight doubling steps and joined to what came before.
template <class T> __global__ void scan_by_block(int op, const T* x, T* y, i64 lines, i64 length, i64 stride, i64 inner, int reverse, Space<1> space) {
    typedef typename Compute<T>::type C;
    SHARED(C, tile, [256]);
    int t = threadIdx.x;
    for (i64 line = blockIdx.x; line < lines; line += gridDim.x) {
        const T* from = x + position(space, line);
        T* to = y + line / inner * length * inner + line % inner;
        C before = identity<C>(op);
#pragma unroll 1
        for (i64 start = 0; start < length; start += 256) {
            i64 k = start + t, at = reverse ? length - 1 - k : k;
            tile[t] = k < length ? number(from[at * stride]) : identity<C>(op);
            __syncthreads();
#pragma unroll 1
            for (int d = 1; d < 256; d <<= 1) {
                C left = t >= d ? tile[t - d] : identity<C>(op);
                __syncthreads();
                tile[t] = combine(op, left, tile[t]);
                __syncthreads();
            }
            if (k < length) to[at * inner] = Element<T>::of(combine(op, before, tile[t]));
            before = combine(op, before, tile[255]);
            __syncthreads();
        }
    }
}
