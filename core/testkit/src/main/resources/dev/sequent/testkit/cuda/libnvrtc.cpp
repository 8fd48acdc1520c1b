// A stand-in for libnvrtc.so: compiles the same CUDA C++ source with g++ against cuda_shim.h, which lies beside this library. The
// "cubin" is a shared object behind a short header.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

typedef int R;
enum { OK = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6, NAME_NOT_VALID = 10 };
struct Program {
    std::string source, name, log, cubin;
    std::map<std::string, std::string> headers;
    std::vector<std::string> expressions;
};
#define API extern "C" __attribute__((visibility("default"))) R

static std::string home() {
    Dl_info info;
    dladdr((void*) home, &info);
    std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/'));
}
static std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream s;
    s << in.rdbuf();
    return s.str();
}
static void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }
static std::string quoted(const std::string& s) {
    std::string q = "'";
    for (char c : s) q += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return q + "'";
}

API nvrtcVersion(int* major, int* minor) { *major = 13; *minor = 0; return OK; }
extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(R r) {
    return r == COMPILATION ? "NVRTC_ERROR_COMPILATION" : r == OK ? "NVRTC_SUCCESS" : r == INVALID_OPTION ? "NVRTC_ERROR_INVALID_OPTION" : "NVRTC_ERROR";
}
static const int ARCHS[] = {75, 80, 86, 89, 90, 100, 120};
API nvrtcGetNumSupportedArchs(int* n) { *n = sizeof ARCHS / sizeof *ARCHS; return OK; }
API nvrtcGetSupportedArchs(int* a) { memcpy(a, ARCHS, sizeof ARCHS); return OK; }
API nvrtcCreateProgram(void** p, const char* source, const char* name, int n, const char** texts, const char** names) {
    auto* program = new Program;
    program->source = source;
    program->name = name;
    for (int i = 0; i < n; i++) program->headers[names[i]] = texts[i];
    *p = program;
    return OK;
}
API nvrtcDestroyProgram(void** p) { delete (Program*) *p; *p = nullptr; return OK; }
API nvrtcAddNameExpression(void* p, const char* e) { ((Program*) p)->expressions.push_back(e); return OK; }
API nvrtcCompileProgram(void* v, int n, const char** options) {
    auto* p = (Program*) v;
    char dir[] = "/tmp/cuemu-nvrtc-XXXXXX";
    if (!mkdtemp(dir)) return INVALID_PROGRAM;
    std::string d = dir, flags;
    for (int i = 0; i < n; i++) {
        std::string o = options[i];
        if (o.rfind("--gpu-architecture=sm_", 0) == 0) flags += " -D__CUDA_ARCH__=" + std::to_string(atoi(o.c_str() + 22) * 10);
        else if (o.rfind("-D", 0) == 0 || o.rfind("--define-macro=", 0) == 0) flags += " " + quoted(o[1] == 'D' ? o : "-D" + o.substr(15));
        else if (o.rfind("--", 0) != 0 && o.rfind("-default-device", 0) != 0) return INVALID_OPTION;
    }
    for (auto& h : p->headers) write(d + "/" + h.first, h.second);
    std::string main = "#line 1 \"" + p->name + "\"\n" + p->source + "\n";
    for (size_t i = 0; i < p->expressions.size(); i++) main += "SHIM_EXPORT(k" + std::to_string(i) + ", " + p->expressions[i] + ")\n";
    write(d + "/main.cpp", main);
    std::string command = "g++ -std=c++17 -O1 -fPIC -shared -fvisibility=hidden -fno-gnu-unique -fno-strict-aliasing -ffp-contract=off -w -I " + quoted(home())
        + " -include cuda_shim.h -I " + quoted(d) + flags + " " + d + "/main.cpp -o " + d + "/out.so > " + d + "/log 2>&1";
    int rc = system(command.c_str());
    p->log = read(d + "/log");
    std::string so = rc == 0 ? read(d + "/out.so") : "";
    uint64_t size = so.size();
    p->cubin = std::string("CPUEMU\0\1", 8) + std::string((char*) &size, 8) + so;
    if (system(("rm -rf " + d).c_str())) {}
    return rc == 0 ? OK : COMPILATION;
}
API nvrtcGetProgramLogSize(void* p, size_t* n) { *n = ((Program*) p)->log.size() + 1; return OK; }
API nvrtcGetProgramLog(void* p, char* s) { strcpy(s, ((Program*) p)->log.c_str()); return OK; }
API nvrtcGetCUBINSize(void* p, size_t* n) { *n = ((Program*) p)->cubin.size(); return OK; }
API nvrtcGetCUBIN(void* p, char* s) { memcpy(s, ((Program*) p)->cubin.data(), ((Program*) p)->cubin.size()); return OK; }
API nvrtcGetPTXSize(void*, size_t* n) { *n = 1; return OK; }
API nvrtcGetPTX(void*, char* s) { *s = 0; return OK; }
API nvrtcGetLoweredName(void* v, const char* e, const char** s) {
    auto* p = (Program*) v;
    static thread_local std::string name;
    for (size_t i = 0; i < p->expressions.size(); i++) if (p->expressions[i] == e) {
        name = "k" + std::to_string(i);
        *s = name.c_str();
        return OK;
    }
    return NAME_NOT_VALID;
}
