// Runs CUDA C++ kernels on the CPU, so that their indexing, tails, barriers and warp collectives can be tested without a GPU.
//
// Every thread of a block is a fiber with a stack of its own; blocks run one after another on the calling host thread. A barrier or a
// warp collective is a real rendezvous: a fiber that arrives first waits. Fibers are resumed in one of several orders, because a missing
// barrier often goes unnoticed in one order and shows in another:
//   0 ascending   1 descending   2 shuffled
//   3 one warp runs as far as it can before the next one starts   4 the same, last warp first
// Shared memory starts as NaN in every block. A barrier that some threads never reach is reported, not waited for.
//
// What this cannot show: races between blocks, the memory model, approximate instructions, speed. Inline PTX needs an alternative
// under #ifdef CPU_SHIM.
#pragma once
#include <sys/mman.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#define CPU_SHIM 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
// Only SHARED and DYNAMIC_SHARED of sequent.cuh are poisoned for every block; a plain __shared__ variable keeps what the last block left.
#define __shared__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#ifndef __restrict__
#define __restrict__ __restrict
#endif

#define SHIM_VECTOR(T, N, A2, A4) \
    struct alignas(A2) N##2 { T x, y; }; \
    struct alignas(A4) N##4 { T x, y, z, w; }; \
    static inline N##2 make_##N##2(T x, T y) { return {x, y}; } \
    static inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SHIM_VECTOR(float, float, 8, 16)
SHIM_VECTOR(int, int, 8, 16)
SHIM_VECTOR(unsigned, uint, 8, 16)
SHIM_VECTOR(double, double, 16, 16)
SHIM_VECTOR(short, short, 4, 8)
SHIM_VECTOR(unsigned short, ushort, 4, 8)
struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace shim {
// Saves the callee-saved registers on the old stack and takes those of the new one (x86-64, System V).
extern "C" __attribute__((visibility("hidden"))) void shim_switch(void** old_sp, void* new_sp);
asm(R"(
.text
.weak shim_switch
.hidden shim_switch
.type shim_switch,@function
shim_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size shim_switch,.-shim_switch
)");

enum State : uint8_t { NEW, READY, WAIT_BLOCK, WAIT_WARP, DONE };
// The meeting place of the lanes of one mask. Two tables by turns: a lane may come again before all have read.
struct WarpSync {
    unsigned mask, arrived, turn;
    uint64_t slot[2][32][8];
};
struct Fiber {
    void* sp;
    char* stack;
    State state;
    unsigned x, y, z, linear;
    WarpSync* wait;
};
struct Block {
    std::vector<Fiber> fibers;
    std::vector<std::vector<std::unique_ptr<WarpSync>>> warps;
    std::vector<unsigned> order;
    std::vector<char> dynamic;
    std::vector<std::unique_ptr<char[]>> shared;    // by Site
    std::vector<char*> stacks;
    void* main_sp = nullptr;
    Fiber* current = nullptr;
    unsigned arrived = 0, live = 0;
    int predicate[2] = {0, 0};
    unsigned turn = 0;
    void (*body)(void*) = nullptr;
    void* argument = nullptr;
    const char* failure = nullptr;
};
// One launch at a time: the stand-in driver holds a lock. Hidden, so that every kernel library has its own.
inline Block block;
inline uint3 block_index;
inline dim3 block_size, grid_size;
inline int sites = 0;
constexpr size_t STACK = 256 * 1024;

inline void pause() {
    Fiber* me = block.current;
    shim_switch(&me->sp, block.main_sp);
}
inline void fail(const char* why) {
    if (!block.failure) block.failure = why;
    pause();                                        // never resumed
}
inline void entry() {
    block.body(block.argument);
    Fiber* me = block.current;
    me->state = DONE;
    block.live--;
    block.stacks.push_back(me->stack);              // still in use until the switch, but nobody takes it before
    pause();
    abort();
}
inline void start(Fiber& f) {
    if (block.stacks.empty()) {
        void* p = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) abort();
        block.stacks.push_back((char*) p);
    }
    f.stack = block.stacks.back();
    block.stacks.pop_back();
    void** sp = (void**) (f.stack + STACK);
    *--sp = nullptr;
    *--sp = (void*) entry;
    for (int k = 0; k < 6; k++) *--sp = nullptr;
    f.sp = sp;
    f.state = READY;
}
inline void resume(Fiber& f) {
    if (f.state == NEW) start(f);
    block.current = &f;
    shim_switch(&block.main_sp, f.sp);
}
inline bool runnable(const Fiber& f) { return f.state == NEW || f.state == READY; }
inline void release_block() {
    block.arrived = 0;
    block.turn ^= 1;
    block.predicate[block.turn] = 0;
    for (auto& f : block.fibers) if (f.state == WAIT_BLOCK) f.state = READY;
}
// Returns how many threads brought a predicate that holds.
inline int sync_block(int predicate) {
    unsigned turn = block.turn;
    block.predicate[turn] += predicate != 0;
    if (++block.arrived == block.live) release_block();
    else {
        block.current->state = WAIT_BLOCK;
        pause();
    }
    return block.predicate[turn];
}
inline unsigned lane() { return block.current->linear % 32; }
inline WarpSync* meeting(unsigned mask) {
    auto& all = block.warps[block.current->linear / 32];
    for (auto& w : all) if (w->mask == mask) return w.get();
    all.emplace_back(new WarpSync{mask, 0, 0, {}});
    return all.back().get();
}
// Every lane of the mask brings N words; returns the table of all lanes' words.
template <int N> inline uint64_t (*collect(unsigned mask, const uint64_t* mine))[8] {
    if (!(mask >> lane() & 1)) fail("a lane takes part in a warp collective whose mask does not name it");
    WarpSync* w = meeting(mask);
    unsigned turn = w->turn & 1;
    for (int i = 0; i < N; i++) w->slot[turn][lane()][i] = mine[i];
    unsigned threads = (unsigned) block.fibers.size(), first = block.current->linear / 32 * 32;
    unsigned present = threads - first >= 32 ? ~0u : (1u << (threads - first)) - 1;
    if (++w->arrived == (unsigned) __builtin_popcount(mask & present)) {
        w->arrived = 0;
        w->turn++;
        for (unsigned l = 0; l < 32 && first + l < threads; l++) {
            Fiber& f = block.fibers[first + l];
            if (f.state == WAIT_WARP && f.wait == w) f.state = READY;
        }
    } else {
        block.current->state = WAIT_WARP;
        block.current->wait = w;
        pause();
    }
    return w->slot[turn];
}
inline bool run_warp(unsigned first, unsigned end) {
    bool ran = false;
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = first; i < end; i++) if (runnable(block.fibers[i])) {
            more = ran = true;
            resume(block.fibers[i]);
            if (block.failure) return true;
        }
    }
    return ran;
}
inline bool run_round(int order) {
    bool ran = false;
    unsigned n = (unsigned) block.fibers.size(), warps = (n + 31) / 32;
    if (order >= 3) {
        for (unsigned k = 0; k < warps && !block.failure; k++) {
            unsigned w = order == 4 ? warps - 1 - k : k;
            ran |= run_warp(w * 32, std::min(n, w * 32 + 32));
        }
        return ran;
    }
    for (unsigned k = 0; k < n && !block.failure; k++) {
        Fiber& f = block.fibers[order == 2 ? block.order[k] : order == 1 ? n - 1 - k : k];
        if (runnable(f)) {
            ran = true;
            resume(f);
        }
    }
    return ran;
}
// Runs one block; returns what went wrong, or null.
inline const char* run_block(dim3 size, size_t shared, int order, unsigned seed, void (*body)(void*), void* argument) {
    unsigned n = size.x * size.y * size.z;
    block_size = size;
    block.fibers.assign(n, Fiber{});
    block.warps.clear();
    block.warps.resize((n + 31) / 32);
    block.arrived = 0;
    block.live = n;
    block.turn = 0;
    block.predicate[0] = block.predicate[1] = 0;
    block.body = body;
    block.argument = argument;
    block.failure = nullptr;
    block.shared.clear();
    block.dynamic.assign(shared + 32, (char) 0xff);
    for (unsigned i = 0; i < n; i++) {
        Fiber& f = block.fibers[i];
        f.linear = i;
        f.x = i % size.x;
        f.y = i / size.x % size.y;
        f.z = i / (size.x * size.y);
    }
    if (order == 2) {
        block.order.resize(n);
        for (unsigned i = 0; i < n; i++) block.order[i] = i;
        std::mt19937 random(seed);
        std::shuffle(block.order.begin(), block.order.end(), random);
    }
    while (block.live && !block.failure) {
        bool ran = run_round(order);
        if (block.failure) break;
        if (block.arrived && block.arrived == block.live) release_block();       // the others have ended meanwhile
        else if (!ran) block.failure = "threads wait at a barrier or warp collective that others will never reach";
    }
    if (block.failure) for (auto& f : block.fibers) if (f.stack && f.state != DONE) block.stacks.push_back(f.stack);
    return block.failure;
}
template <class... A, size_t... I> void call(void (*kernel)(A...), void** p, std::index_sequence<I...>) {
    kernel(*(std::remove_cv_t<A>*) p[I]...);
}
template <class... A> const char* launch(void (*kernel)(A...), dim3 grid, dim3 size, size_t shared, int order, void** parameters) {
    struct Call { void (*kernel)(A...); void** p; } c{kernel, parameters};
    grid_size = grid;
    auto body = [](void* v) { auto* c = (Call*) v; call(c->kernel, c->p, std::index_sequence_for<A...>()); };
    uint64_t blocks = (uint64_t) grid.x * grid.y * grid.z;
    for (uint64_t i = 0; i < blocks; i++) {
        uint64_t at = order % 2 ? blocks - 1 - i : i;                            // blocks come in no particular order either
        block_index = {(unsigned) (at % grid.x), (unsigned) (at / grid.x % grid.y), (unsigned) (at / grid.x / grid.y)};
        if (const char* why = run_block(size, shared, order, 1234 + (unsigned) at, body, &c)) return why;
    }
    return nullptr;
}
template <class... A> int sizes(void (*)(A...), int* out, int room) {
    int all[sizeof...(A) + 1] = {(int) sizeof(A)...};
    for (int i = 0; i < (int) sizeof...(A) && i < room; i++) out[i] = all[i];
    return (int) sizeof...(A);
}
// Shared memory of one declaration, poisoned when the first thread of a block comes to it.
struct Site {
    int id = sites++;
    template <class T> T& get() {
        if (block.shared.size() <= (size_t) id) block.shared.resize(id + 1);
        auto& memory = block.shared[id];
        if (!memory) {
            memory.reset(new char[sizeof(T) + 128]);
            memset(memory.get(), 0xff, sizeof(T) + 128);
        }
        return *(T*) (((uintptr_t) memory.get() + 127) & ~(uintptr_t) 127);
    }
};
inline uint3 thread_index() { return {block.current->x, block.current->y, block.current->z}; }
template <class T> T from_lane(unsigned mask, T value, int source) {
    static_assert(sizeof(T) <= 8, "a shuffle moves at most 8 bytes");
    uint64_t word = 0;
    memcpy(&word, &value, sizeof value);
    auto* table = collect<1>(mask, &word);
    T result;
    memcpy(&result, &table[source & 31][0], sizeof result);
    return result;
}
}  // namespace shim

#define threadIdx shim::thread_index()
#define blockIdx shim::block_index
#define blockDim shim::block_size
#define gridDim shim::grid_size
#define warpSize 32

static inline void __syncthreads() { shim::sync_block(0); }
static inline int __syncthreads_count(int p) { return shim::sync_block(p); }
static inline int __syncthreads_or(int p) { return shim::sync_block(p) != 0; }
static inline int __syncthreads_and(int p) { return shim::sync_block(!p) == 0; }
static inline void __syncwarp(unsigned mask = ~0u) {
    uint64_t zero = 0;
    shim::collect<1>(mask, &zero);
}
template <class T> static inline T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
    int lane = shim::lane();
    return shim::from_lane(mask, v, (lane & ~(width - 1)) + (source & (width - 1)));
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
    int lane = shim::lane(), source = lane ^ bits;
    return shim::from_lane(mask, v, source > (lane | (width - 1)) ? lane : source);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned distance, int width = 32) {
    int lane = shim::lane(), source = lane - (int) distance;
    return shim::from_lane(mask, v, source < (lane & ~(width - 1)) ? lane : source);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned distance, int width = 32) {
    int lane = shim::lane(), source = lane + (int) distance;
    return shim::from_lane(mask, v, source > (lane | (width - 1)) ? lane : source);
}
static inline unsigned __ballot_sync(unsigned mask, int p) {
    uint64_t word = p != 0;
    auto* table = shim::collect<1>(mask, &word);
    unsigned bits = 0;
    for (int l = 0; l < 32; l++) if (mask >> l & 1) bits |= (unsigned) (table[l][0] & 1) << l;
    return bits;
}
static inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __trap() { shim::fail("trap"); }

template <class T> static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <class T> static inline T atomicMax(T* p, T v) { T old = *p; *p = std::max(old, v); return old; }
template <class T> static inline T atomicMin(T* p, T v) { T old = *p; *p = std::min(old, v); return old; }
template <class T> static inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }
template <class T> static inline T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }
template <class T> static inline T atomicCAS(T* p, T expected, T v) { T old = *p; if (old == expected) *p = v; return old; }

template <class To, class From> static inline To shim_bits(From v) {
    static_assert(sizeof(To) == sizeof(From), "the same number of bits");
    To r;
    memcpy(&r, &v, sizeof r);
    return r;
}
static inline float __uint_as_float(unsigned v) { return shim_bits<float>(v); }
static inline float __int_as_float(int v) { return shim_bits<float>(v); }
static inline unsigned __float_as_uint(float v) { return shim_bits<unsigned>(v); }
static inline int __float_as_int(float v) { return shim_bits<int>(v); }
static inline double __longlong_as_double(long long v) { return shim_bits<double>(v); }
static inline long long __double_as_longlong(double v) { return shim_bits<long long>(v); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned) ((uint64_t) a * b >> 32); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned) v) : 32; }
static inline int __clzll(long long v) { return v ? __builtin_clzll((unsigned long long) v) : 64; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
#define __expf(x) std::exp((float) (x))       // glibc has a function of this name
#define __logf(x) std::log((float) (x))
#define __sinf(x) std::sin((float) (x))
#define __cosf(x) std::cos((float) (x))
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
static inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T __ldcs(const T* p) { return *p; }
template <class T> static inline void __stcs(T* p, T v) { *p = v; }
template <class A, class B> static inline std::common_type_t<A, B> min(A a, B b) {
    using C = std::common_type_t<A, B>;
    return (C) b < (C) a ? (C) b : (C) a;
}
template <class A, class B> static inline std::common_type_t<A, B> max(A a, B b) {
    using C = std::common_type_t<A, B>;
    return (C) a < (C) b ? (C) b : (C) a;
}

// The stand-in compiler appends one of these for every kernel that it was asked for.
#define SHIM_EXPORT(symbol, ...) \
    extern "C" __attribute__((visibility("default"))) const char* symbol##__launch(const unsigned* d, size_t shared, int order, void** p) { \
        return shim::launch(__VA_ARGS__, dim3(d[0], d[1], d[2]), dim3(d[3], d[4], d[5]), shared, order, p); \
    } \
    extern "C" __attribute__((visibility("default"))) int symbol##__sizes(int* out, int room) { return shim::sizes(__VA_ARGS__, out, room); }
