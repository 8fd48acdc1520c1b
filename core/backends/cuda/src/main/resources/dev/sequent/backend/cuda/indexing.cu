// Gathering and scattering by index. An index outside of the tensor touches nothing: what is gathered is 0, what is scattered is dropped.
// Tensors are seen as (outer, axis, inner).
#include "strided.cuh"

// y[o, l, i] = x[o, index, i]. The positions in x without the index, and in the index tensor, come from the space.
template <class W, class I> __global__ void gather(const W* x, const I* index, W* y, i64 n, i64 size, i64 stride, Space<2> space) {
    for (i64 e = grid_thread(); e < n; e += grid_threads()) {
        i64 at[2];
        locate(space, e, at);
        i64 chosen = (i64) index[at[1]];
        y[e] = chosen >= 0 && chosen < size ? x[at[0] + chosen * stride] : (W) 0;
    }
}
// y[o, index[o, l, i], i] += source[o, l, i], in ascending order of l, by one thread for each (o, i): y is dense (outer, size, inner). The
// positions of line (o, i) in source and index come from the space; along the line they advance by the strides given.
template <class T, class I> __global__ void scatter_lines(T* y, const I* index, const T* source, i64 lines, i64 length, i64 size, i64 inner,
        i64 sourceStride, i64 indexStride, Space<2> space) {
    for (i64 line = grid_thread(); line < lines; line += grid_threads()) {
        i64 at[2];
        locate(space, line, at);
        T* to = y + line / inner * size * inner + line % inner;
        for (i64 l = 0; l < length; l++) {
            i64 chosen = (i64) index[at[1] + l * indexStride];
            if (chosen >= 0 && chosen < size) {
                T& target = to[chosen * inner];
                target = Element<T>::of(sum_of(number(target), number(source[at[0] + l * sourceStride])));
            }
        }
    }
}

// Many additions to few lines: the entries are sorted by where they go, stably, so that every sum has one thread and its terms come in
// ascending order. Keys are target positions; an index outside of the tensor gets the key `none`, which sorts last.
template <class I> __global__ void scatter_keys(const I* index, u64* keys, u32* entries, i64 n, i64 size, i64 inner, i64 length, u64 none, Space<1> space) {
    for (i64 e = grid_thread(); e < n; e += grid_threads()) {
        i64 at[1];
        locate(space, e, at);
        i64 chosen = (i64) index[at[0]], line = e / (length * inner);
        bool valid = chosen >= 0 && chosen < size;
        keys[e] = valid ? (u64) ((line * size + chosen) * inner + e % inner) : none;
        entries[e] = (u32) e;
    }
}
// One pass of a radix sort by eight bits, in three kernels. A block owns `share` consecutive entries.
__global__ void digit_counts(const u64* keys, u32* counts, i64 n, i64 share, int shift) {
    SHARED(u32, count, [256]);
    count[threadIdx.x] = 0;
    __syncthreads();
    i64 from = blockIdx.x * share, to = from + share < n ? from + share : n;
    for (i64 e = from + threadIdx.x; e < to; e += 256) atomicAdd(&count[keys[e] >> shift & 255], 1u);
    __syncthreads();
    counts[(i64) threadIdx.x * gridDim.x + blockIdx.x] = count[threadIdx.x];
}
// Exclusive sums of all counts, digit by digit and block by block, by one block.
__global__ void digit_offsets(u32* counts, i64 n) {
    SHARED(u32, tile, [256]);
    int t = threadIdx.x;
    u32 before = 0;
    for (i64 start = 0; start < n; start += 256) {
        i64 i = start + t;
        u32 own = i < n ? counts[i] : 0;
        tile[t] = own;
        __syncthreads();
        for (int d = 1; d < 256; d <<= 1) {
            u32 left = t >= d ? tile[t - d] : 0;
            __syncthreads();
            tile[t] += left;
            __syncthreads();
        }
        if (i < n) counts[i] = before + tile[t] - own;
        before += tile[255];
        __syncthreads();
    }
}
__global__ void digit_scatter(const u64* keys, const u32* entries, u64* keysOut, u32* entriesOut, const u32* offsets, i64 n, i64 share, int shift) {
    SHARED(u32, next, [256]);
    SHARED(int, digits, [256]);
    int t = threadIdx.x;
    next[t] = offsets[(i64) t * gridDim.x + blockIdx.x];
    i64 from = blockIdx.x * share, to = from + share < n ? from + share : n;
    for (i64 start = from; start < to; start += 256) {
        i64 e = start + t;
        int digit = e < to ? (int) (keys[e] >> shift & 255) : -1;
        digits[t] = digit;
        __syncthreads();
        u32 earlier = 0;
        int own = 0;                            // how many of this tile's entries have the digit that this thread keeps count of
        for (int k = 0; k < 256; k++) {
            earlier += k < t && digits[k] == digit;
            own += digits[k] == t;
        }
        if (e < to) {
            u32 place = next[digit] + earlier;
            keysOut[place] = keys[e];
            entriesOut[place] = entries[e];
        }
        __syncthreads();
        next[t] += own;
        __syncthreads();
    }
}
// For every run of equal keys, and every one of `width` columns: y[key, column] += the source's entries. A thread of the first entry of
// a run adds up the whole run. With width 1 the source is indexed by entry; otherwise entry e is a row of the source.
template <class T> __global__ void scatter_runs(T* y, const u64* keys, const u32* entries, const T* source, i64 n, i64 width, u64 none, Space<1> rows,
        i64 column) {
    for (i64 w = grid_thread(); w < n * width; w += grid_threads()) {
        i64 k = w / width, c = w % width;
        u64 key = keys[k];
        if (key == none || (k > 0 && keys[k - 1] == key)) continue;
        T& target = y[(i64) key * width + c];
        auto sum = number(target);
        for (i64 m = k; m < n && keys[m] == key; m++) {
            i64 at[1];
            locate(rows, entries[m], at);
            sum = sum_of(sum, number(source[at[0] + c * column]));
        }
        target = Element<T>::of(sum);
    }
}
