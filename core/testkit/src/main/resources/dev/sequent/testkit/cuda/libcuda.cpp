// A stand-in for libcuda.so.1 whose device is host memory and whose kernels are shared objects that the stand-in compiler built.
//
// It is stricter than the driver where that finds bugs: launches and copies wait in a queue until somebody synchronises (asynchrony is
// real), fresh memory is NaN, every allocation lies between guards that are checked after every launch, copies are bounds-checked,
// parameters are copied by the sizes that the kernel declares, and the order of threads changes from launch to launch.
// A broken kernel makes the context unusable, as on a GPU. Faults are asked for with cuemu_set.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <unistd.h>
#include <vector>

typedef int R;
typedef unsigned long long P;
enum {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, STUB = 34, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201, NO_BINARY = 209, INVALID_HANDLE = 400, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};
struct Op { std::function<R()> run; };
struct Stream { bool capturing = false, invalid = false; std::vector<Op> queue, recorded; };
struct Graph { std::vector<Op> ops; };
struct Event { int unused; };
struct Module { void* library; };
struct Function {
    std::string name;
    const char* (*launch)(const unsigned*, size_t, int, void**);
    std::vector<int> sizes;
    int dynamic = 48 * 1024;
};
struct Allocation { size_t size; char* base; };

static std::recursive_mutex mu;
static bool initialised;
static std::map<P, Allocation> live;
static std::map<char*, size_t> pinned;
static std::set<Stream*> streams;
static size_t used, peak;
static long launches, fail_at = -1, order = -1, memory = 1L << 30, devices = 1, major = 9, minor = 0, version = 13000, init_code, module_code;
static R sticky;
static thread_local void* context;
constexpr size_t GUARD = 256;
constexpr unsigned char GUARD_BYTE = 0xff;
constexpr size_t QUEUE = 24;

#define API extern "C" __attribute__((visibility("default"))) R
#define ENTER std::lock_guard<std::recursive_mutex> lock(mu); if (!initialised) return NOT_INITIALIZED; if (sticky) return sticky; if (!context) return INVALID_CONTEXT;

static bool inside(P p, size_t n) {
    auto i = live.upper_bound(p);
    if (i == live.begin()) return false;
    --i;
    return p >= i->first && p + n <= i->first + i->second.size;
}
static bool is_pinned(const void* p) {
    auto i = pinned.upper_bound((char*) p);
    if (i == pinned.begin()) return false;
    --i;
    return (char*) p < i->first + i->second;
}
static bool guards_hold(const Allocation& a) {
    static const std::vector<char> intact(GUARD, (char) GUARD_BYTE);
    return !memcmp(a.base, intact.data(), GUARD) && !memcmp(a.base + GUARD + a.size, intact.data(), GUARD);
}
static R broken(const std::string& kernel, const Allocation& a) {
    fprintf(stderr, "cuda stand-in: kernel %s wrote outside of an allocation of %zu bytes\n", kernel.c_str(), a.size);
    return sticky = ILLEGAL_ADDRESS;
}
// After a launch the allocations that its parameters point to are looked at, and all of them whenever somebody waits for the device.
static R check_guards(const std::string& kernel, std::vector<std::vector<char>>& values) {
    for (auto& v : values) {
        P p;
        if (v.size() != sizeof p) continue;
        memcpy(&p, v.data(), sizeof p);
        auto i = live.upper_bound(p);
        if (i != live.begin() && p < (--i)->first + i->second.size && !guards_hold(i->second)) return broken(kernel, i->second);
    }
    return OK;
}
static R check_guards() {
    for (auto& a : live) if (!guards_hold(a.second)) return broken("that ran lately", a.second);
    return OK;
}
static R flush(Stream* s) {
    std::vector<Op> queue;
    queue.swap(s->queue);
    for (auto& op : queue) {
        if (sticky) return sticky;
        R r = op.run();
        if (r) return r;
    }
    return sticky;
}
static R flush_all() {
    R r = OK;
    for (Stream* s : streams) if (!s->capturing) if (R e = flush(s)) r = e;
    return r;
}
static R submit(Stream* s, std::function<R()> f) {
    if (s->capturing) {
        s->recorded.push_back({std::move(f)});
        return OK;
    }
    s->queue.push_back({std::move(f)});
    return s->queue.size() > QUEUE ? flush(s) : OK;
}
static R run_kernel(Function* f, const std::vector<unsigned>& d, size_t shared, std::vector<std::vector<char>>& values) {
    std::vector<void*> p;
    for (auto& v : values) p.push_back(v.data());
    long n = launches++;
    if (n == fail_at) return sticky = ILLEGAL_ADDRESS;
    if (const char* why = f->launch(d.data(), shared, order < 0 ? (int) (n % 5) : (int) order, p.data())) {
        fprintf(stderr, "cuda stand-in: kernel %s: %s\n", f->name.c_str(), why);
        return sticky = LAUNCH_FAILED;
    }
    return check_guards(f->name, values);
}

// For libcublasLt's stand-in: work in the order of a stream.
extern "C" __attribute__((visibility("default"))) R cuemu_submit(void* s, std::function<R()>* f) {
    ENTER
    return submit((Stream*) s, std::move(*f));
}
extern "C" __attribute__((visibility("default"))) bool cuemu_inside(P p, size_t n) {
    std::lock_guard<std::recursive_mutex> lock(mu);
    return inside(p, n);
}
// Settings of the stand-in, by name; answers the old value, or -1 for an unknown name. "reset" forgets all settings, and a sticky error with all memory.
extern "C" __attribute__((visibility("default"))) long cuemu_set(const char* name, long value) {
    std::lock_guard<std::recursive_mutex> lock(mu);
    std::map<std::string, long*> known{{"order", &order}, {"memory", &memory}, {"devices", &devices}, {"major", &major}, {"minor", &minor},
        {"version", &version}, {"init", &init_code}, {"module", &module_code}, {"fail_at", &fail_at}};
    if (!strcmp(name, "reset")) {
        if (sticky) {               // as when the process ends: everything of the lost context is gone
            for (auto& a : live) free(a.second.base);
            live.clear();
            used = 0;
        }
        sticky = OK;
        launches = 0;
        order = fail_at = -1;
        memory = 1L << 30;
        devices = 1;
        major = 9;
        minor = init_code = module_code = 0;
        version = 13000;
        for (Stream* s : streams) s->queue.clear();
        return 0;
    }
    auto i = known.find(name);
    if (i == known.end()) return -1;
    long old = *i->second;
    *i->second = value;
    return old;
}
extern "C" __attribute__((visibility("default"))) long cuemu_get(const char* name) {
    std::lock_guard<std::recursive_mutex> lock(mu);
    if (!strcmp(name, "launches")) return launches;
    if (!strcmp(name, "allocations")) return (long) live.size();
    if (!strcmp(name, "used")) return (long) used;
    if (!strcmp(name, "peak")) return (long) peak;
    if (!strcmp(name, "pinned")) return (long) pinned.size();
    if (!strcmp(name, "streams")) return (long) streams.size();
    return -1;
}

API cuInit(unsigned flags) {
    if (flags) return INVALID_VALUE;
    if (init_code) return (R) init_code;
    initialised = true;
    return OK;
}
API cuDriverGetVersion(int* v) { *v = (int) version; return OK; }
API cuGetErrorName(R e, const char** s) {
    static const std::map<int, const char*> names{{0, "CUDA_SUCCESS"}, {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"},
        {3, "CUDA_ERROR_NOT_INITIALIZED"}, {34, "CUDA_ERROR_STUB_LIBRARY"}, {100, "CUDA_ERROR_NO_DEVICE"}, {101, "CUDA_ERROR_INVALID_DEVICE"},
        {200, "CUDA_ERROR_INVALID_IMAGE"}, {201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {400, "CUDA_ERROR_INVALID_HANDLE"},
        {500, "CUDA_ERROR_NOT_FOUND"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
        {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"}, {999, "CUDA_ERROR_UNKNOWN"}};
    auto i = names.find(e);
    *s = i == names.end() ? nullptr : i->second;
    return i == names.end() ? INVALID_VALUE : OK;
}
API cuGetErrorString(R e, const char** s) {
    static const std::map<int, const char*> texts{{0, "no error"}, {1, "invalid argument"}, {2, "out of memory"}, {100, "no CUDA-capable device is detected"},
        {700, "an illegal memory access was encountered"}, {719, "unspecified launch failure"}};
    auto i = texts.find(e);
    if (i == texts.end()) return cuGetErrorName(e, s);
    *s = i->second;
    return OK;
}
API cuDeviceGetCount(int* n) {
    if (!initialised) return NOT_INITIALIZED;
    *n = (int) devices;
    return OK;
}
API cuDeviceGet(int* d, int i) {
    if (i < 0 || i >= devices) return INVALID_DEVICE;
    *d = i;
    return OK;
}
API cuDeviceGetName(char* s, int n, int) { snprintf(s, n, "CPU stand-in"); return OK; }
API cuDeviceTotalMem_v2(size_t* n, int) { *n = memory; return OK; }
API cuDeviceGetAttribute(int* v, int a, int) {
    switch (a) {
        case 75: *v = (int) major; break;
        case 76: *v = (int) minor; break;
        case 16: *v = 4; break;                 // few multiprocessors: grids stay small
        case 10: *v = 32; break;
        case 1: *v = 1024; break;
        case 97: *v = 232448; break;
        case 81: *v = 233472; break;
        case 82: *v = 65536; break;
        case 38: *v = 50 << 20; break;
        default: *v = 0;
    }
    return OK;
}
API cuDevicePrimaryCtxRetain(void** c, int d) { *c = (void*) (intptr_t) (0x1000 + d); return OK; }
API cuDevicePrimaryCtxRelease_v2(int) { return OK; }
API cuCtxSetCurrent(void* c) { context = c; return OK; }
API cuCtxGetCurrent(void** c) { *c = context; return OK; }

API cuModuleLoadData(void** m, const void* image) {
    ENTER
    if (module_code) return (R) module_code;
    const char* p = (const char*) image;
    if (memcmp(p, "CPUEMU\0\1", 8)) return INVALID_IMAGE;
    uint64_t size;
    memcpy(&size, p + 8, 8);
    char path[] = "/tmp/cuemu-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || write(fd, p + 16, size) != (ssize_t) size) return INVALID_IMAGE;
    close(fd);
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    if (!library) {
        fprintf(stderr, "cuda stand-in: %s\n", dlerror());
        return INVALID_IMAGE;
    }
    *m = new Module{library};
    return OK;
}
API cuModuleUnload(void* m) {
    ENTER
    flush_all();
    delete (Module*) m;                         // the library stays: its code may be in a graph
    return OK;
}
API cuModuleGetFunction(void** f, void* m, const char* name) {
    ENTER
    void* launch = dlsym(((Module*) m)->library, (std::string(name) + "__launch").c_str());
    auto sizes = (int (*)(int*, int)) dlsym(((Module*) m)->library, (std::string(name) + "__sizes").c_str());
    if (!launch || !sizes) return NOT_FOUND;
    auto* fn = new Function{name, (decltype(Function::launch)) launch, std::vector<int>(256), 48 * 1024};
    fn->sizes.resize(sizes(fn->sizes.data(), 256));
    *f = fn;
    return OK;
}
API cuFuncSetAttribute(void* f, int a, int v) {
    if (a != 8) return INVALID_VALUE;
    if (v > 232448) return INVALID_VALUE;
    ((Function*) f)->dynamic = v;
    return OK;
}
API cuFuncGetAttribute(int* v, int a, void*) { *v = a == 4 ? 32 : 0; return OK; }
API cuFuncGetParamInfo(void* f, size_t i, size_t* offset, size_t* size) {
    auto& sizes = ((Function*) f)->sizes;
    if (i >= sizes.size()) return INVALID_VALUE;
    *offset = 0;
    *size = sizes[i];
    return OK;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, void*, int threads, size_t shared) {
    int by_threads = 2048 / threads, by_shared = shared ? (int) (233472 / shared) : 32;
    *n = by_threads < by_shared ? by_threads : by_shared;
    return OK;
}

API cuMemGetInfo_v2(size_t* f, size_t* t) {
    ENTER
    *t = memory;
    *f = used < (size_t) memory ? memory - used : 0;
    return OK;
}
API cuMemAlloc_v2(P* p, size_t n) {
    ENTER
    if (!n) return INVALID_VALUE;
    for (Stream* s : streams) if (s->capturing) s->invalid = true;      // relaxed captures allow it, see cuStreamBeginCapture_v2
    if (n > (size_t) memory || used + n > (size_t) memory) return OUT_OF_MEMORY;
    char* base = (char*) aligned_alloc(512, (n + 2 * GUARD + 511) / 512 * 512);
    if (!base) return OUT_OF_MEMORY;
    memset(base, GUARD_BYTE, n + 2 * GUARD);
    *p = (P) (base + GUARD);
    live[*p] = {n, base};
    used += n;
    if (used > peak) peak = used;
    for (Stream* s : streams) s->invalid = false;
    return OK;
}
API cuMemFree_v2(P p) {
    ENTER
    if (R r = flush_all()) return r;
    auto i = live.find(p);
    if (i == live.end()) return INVALID_VALUE;
    R r = guards_hold(i->second) ? OK : sticky = ILLEGAL_ADDRESS;
    used -= i->second.size;
    memset(i->second.base, 0xff, i->second.size);
    free(i->second.base);
    live.erase(i);
    return r;
}
API cuMemHostAlloc(void** p, size_t n, unsigned) {
    ENTER
    *p = aligned_alloc(4096, (n + 4095) / 4096 * 4096);
    pinned[(char*) *p] = n;
    return OK;
}
API cuMemFreeHost(void* p) {
    ENTER
    flush_all();
    if (!pinned.erase((char*) p)) return INVALID_VALUE;
    free(p);
    return OK;
}
API cuMemcpyHtoDAsync_v2(P d, const void* s, size_t n, void* q) {
    ENTER
    if (!inside(d, n)) return INVALID_VALUE;
    auto copy = [=] { memcpy((void*) d, s, n); return (R) OK; };
    if (is_pinned(s) || ((Stream*) q)->capturing) return submit((Stream*) q, copy);
    if (R r = flush((Stream*) q)) return r;     // pageable memory is read before the call returns
    return copy();
}
API cuMemcpyDtoHAsync_v2(void* d, P s, size_t n, void* q) {
    ENTER
    if (!inside(s, n)) return INVALID_VALUE;
    auto copy = [=] { memcpy(d, (void*) s, n); return (R) OK; };
    if (is_pinned(d) || ((Stream*) q)->capturing) return submit((Stream*) q, copy);
    if (R r = flush((Stream*) q)) return r;
    return copy();
}
API cuMemcpyDtoDAsync_v2(P d, P s, size_t n, void* q) {
    ENTER
    if (!inside(s, n) || !inside(d, n)) return INVALID_VALUE;
    return submit((Stream*) q, [=] { memmove((void*) d, (void*) s, n); return (R) OK; });
}
API cuMemsetD8Async(P d, unsigned char v, size_t n, void* q) {
    ENTER
    if (!inside(d, n)) return INVALID_VALUE;
    return submit((Stream*) q, [=] { memset((void*) d, v, n); return (R) OK; });
}

API cuStreamCreate(void** s, unsigned) {
    ENTER
    auto* q = new Stream;
    streams.insert(q);
    *s = q;
    return OK;
}
API cuStreamDestroy_v2(void* s) {
    ENTER
    flush((Stream*) s);
    streams.erase((Stream*) s);
    delete (Stream*) s;
    return OK;
}
API cuStreamSynchronize(void* s) {
    ENTER
    auto* q = (Stream*) s;
    if (q->capturing) {
        q->invalid = true;
        return CAPTURE_UNSUPPORTED;
    }
    R r = flush(q);
    return r ? r : check_guards();
}
API cuEventCreate(void** e, unsigned) { ENTER *e = new Event; return OK; }
API cuEventDestroy_v2(void* e) { ENTER delete (Event*) e; return OK; }
API cuEventRecord(void* e, void* s) {
    ENTER
    return ((Stream*) s)->capturing ? CAPTURE_UNSUPPORTED : e ? OK : INVALID_HANDLE;
}
API cuEventSynchronize(void* e) {
    ENTER
    return e ? flush_all() : INVALID_HANDLE;        // coarser than the driver, which waits for what came before the record
}
API cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* s, void** params, void** extra) {
    ENTER
    auto* fn = (Function*) f;
    if (!fn) return INVALID_HANDLE;
    if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || extra) return INVALID_VALUE;
    if ((uint64_t) bx * by * bz == 0 || (uint64_t) bx * by * bz > 1024 || bz > 64 || (int) shared > fn->dynamic) return INVALID_VALUE;
    std::vector<unsigned> d{gx, gy, gz, bx, by, bz};
    std::vector<std::vector<char>> values;
    for (size_t i = 0; i < fn->sizes.size(); i++) {
        if (!params[i]) return INVALID_VALUE;
        values.emplace_back((char*) params[i], (char*) params[i] + fn->sizes[i]);
    }
    return submit((Stream*) s, [=]() mutable { return run_kernel(fn, d, shared, values); });
}

API cuStreamBeginCapture_v2(void* s, int mode) {
    ENTER
    auto* q = (Stream*) s;
    if (!q || q->capturing || mode != 2) return INVALID_VALUE;      // 2: relaxed, so that memory can be allocated meanwhile
    q->capturing = true;
    q->invalid = false;
    q->recorded.clear();
    return OK;
}
API cuStreamEndCapture(void* s, void** g) {
    ENTER
    auto* q = (Stream*) s;
    if (!q->capturing) return INVALID_VALUE;
    q->capturing = false;
    *g = q->invalid ? nullptr : new Graph{std::move(q->recorded)};
    q->recorded.clear();
    return q->invalid ? CAPTURE_INVALIDATED : OK;
}
API cuGraphGetNodes(void* g, void** nodes, size_t* n) {
    if (nodes) return INVALID_VALUE;
    *n = ((Graph*) g)->ops.size();
    return OK;
}
API cuGraphInstantiateWithFlags(void** e, void* g, unsigned long long) {
    ENTER
    *e = new Graph(*(Graph*) g);
    return OK;
}
API cuGraphLaunch(void* e, void* s) {
    ENTER
    for (auto& op : ((Graph*) e)->ops) if (R r = submit((Stream*) s, op.run)) return r;
    return OK;
}
API cuGraphDestroy(void* g) { delete (Graph*) g; return OK; }
API cuGraphExecDestroy(void* g) { delete (Graph*) g; return OK; }
