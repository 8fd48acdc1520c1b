package dev.sequent.spi;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Capability of a backend that compiles kernels from source for its devices and launches them: what a fused GPU kernel needs.
 *
 * <p>Everything given to one device runs in the order in which it was given, the backend's own operations included. So memory may
 * be released as soon as its last launch has been submitted, and a launch sees what earlier ones wrote. A fault inside a kernel
 * (an illegal address) shows up later, in some call that follows it; it makes the device unusable, and the error says so.
 *
 * <pre>{@code
 * Source source = Source.of("scale", text, "scale<float>", "scale<bf16>");        // template <class T> __global__ void scale(...)
 * Function scale = code.functions(source, 0).get("scale<float>");
 * TensorHandle y = code.allocate(x.shape(), x.dtype(), 0);
 * code.launch(scale, Grid.covering(x.shape().size(), 256), x, y, x.shape().size(), 0.5f);      // (const T*, T*, i64, float)
 * }</pre>
 *
 * <h2>The language of sources</h2>
 *
 * <p>CUDA C++17 without toolkit headers. A source may {@code #include "sequent.cuh"}, which the backend provides: fixed-size
 * integers, {@code bf16} and {@code f16} with conversions, dynamic shared memory, sums over warps and blocks. Nothing else is on
 * the include path except the source's own {@link Source#headers}. Inline PTX stands beside an alternative in plain C++ under
 * {@code #ifdef CPU_SHIM}, because the testkit runs the same source on the CPU (see {@code dev.sequent.testkit.cuda}).
 *
 * <p>Thread-safe.
 */
public interface DeviceCode {
    /** What a device offers to kernels. */
    Limits limits(int device);

    /**
     * The functions of a source, by the expressions with which the source names them. Compiled on first use and then remembered by
     * the backend, and on disk between runs; asking again is a map lookup.
     *
     * @throws dev.sequent.type.BackendException when the source does not compile; the message holds the compiler's own
     */
    Map<String, Function> functions(Source source, int device);

    /** A new handle with uninitialised, contiguous memory, aligned to 256 bytes. */
    TensorHandle allocate(Shape shape, DType dtype, int device);

    /** Uninitialised memory for intermediate results, aligned to 256 bytes. Close it after the last launch that uses it. */
    Scratch scratch(long bytes, int device);

    /** How the elements of a handle lie. */
    View view(TensorHandle handle);

    /**
     * Submits a launch and returns without waiting for it. A grid without blocks does nothing.
     *
     * <p>An argument's Java type is the parameter's type: {@link TensorHandle} a pointer to element 0 of the view;
     * {@link Scratch} a pointer to its first byte; {@code null} a null pointer; {@code Integer}, {@code Long}, {@code Float} and
     * {@code Double} the 4- or 8-byte number; {@code int[]}, {@code long[]}, {@code float[]} and {@code TensorHandle[]} (with
     * nulls) a struct passed by value whose only member is an array of that many elements or pointers.
     *
     * @throws dev.sequent.type.BackendException when count or sizes of the arguments are not those of the parameters, where the
     *         driver can tell, or the grid is beyond the device's limits
     * @throws dev.sequent.type.ReleasedTensorException when a handle or scratch has been released
     */
    void launch(Function function, Grid grid, Object... arguments);

    /**
     * Limits of one device.
     *
     * @param name the device's own name
     * @param major compute capability, before the dot
     * @param minor compute capability, after the dot
     * @param multiprocessors number of multiprocessors
     * @param warpSize threads that run in step
     * @param threadsPerBlock the most threads in a block
     * @param sharedBytesPerBlock the most shared memory of a block, static and dynamic together
     * @param sharedBytesPerMultiprocessor shared memory of all blocks on a multiprocessor
     * @param registersPerMultiprocessor 32-bit registers of a multiprocessor
     * @param cacheBytes size of the last cache before the memory
     * @param memoryBytes size of the memory
     */
    record Limits(String name, int major, int minor, int multiprocessors, int warpSize, int threadsPerBlock, int sharedBytesPerBlock,
            int sharedBytesPerMultiprocessor, int registersPerMultiprocessor, long cacheBytes, long memoryBytes) {
        /** Whether the compute capability is at least {@code major.minor}. */
        public boolean isAtLeast(int major, int minor) {
            return this.major > major || this.major == major && this.minor >= minor;
        }
    }

    /**
     * A program in source form. Two equal sources are the same program.
     *
     * @param name short name for messages and caches, for example {@code selective_scan}
     * @param text the program
     * @param functions the kernels that the program is asked for, as C++ names them: {@code scale<float>}, {@code scan<bf16, 16>}. All of
     *     them are instantiated in one compilation
     * @param defines macros and their values, given to the compiler
     * @param headers texts that the program includes, by the name with which it does
     */
    record Source(String name, String text, List<String> functions, Map<String, String> defines, Map<String, String> headers) {
        /** Copies the collections. */
        public Source {
            functions = List.copyOf(functions);
            defines = Map.copyOf(defines);
            headers = Map.copyOf(headers);
        }

        /** A program without macros and headers of its own. */
        public static Source of(String name, String text, String... functions) {
            return new Source(name, text, List.of(functions), Map.of(), Map.of());
        }

        /** The same program with a macro. */
        public Source define(String macro, Object value) {
            Map<String, String> more = new TreeMap<>(defines);
            more.put(macro, value.toString());
            return new Source(name, text, functions, more, headers);
        }

        /** The same program with a header. */
        public Source header(String file, String contents) {
            Map<String, String> more = new TreeMap<>(headers);
            more.put(file, contents);
            return new Source(name, text, functions, defines, more);
        }

        /** The same program with further functions. */
        public Source with(String... more) {
            List<String> all = new ArrayList<>(functions);
            all.addAll(List.of(more));
            return new Source(name, text, all, defines, headers);
        }
    }

    /** A compiled kernel on one device. Valid until the backend is closed. */
    interface Function {
        /** The expression that names it, for example {@code scale<float>}. */
        String name();

        /** The device on which it runs. */
        int device();

        /** Registers of one thread, 0 if unknown. */
        int registers();

        /** Bytes of local memory (spilled registers) of one thread, 0 if unknown. */
        int localBytes();

        /** How many blocks of so many threads and bytes of dynamic shared memory fit on a multiprocessor at a time. */
        int blocksPerMultiprocessor(int threads, int sharedBytes);
    }

    /**
     * The shape of a launch.
     *
     * @param x blocks along x, at most 2^31 - 1
     * @param y blocks along y, at most 65535
     * @param z blocks along z, at most 65535
     * @param threadsX threads of a block along x
     * @param threadsY threads of a block along y
     * @param threadsZ threads of a block along z
     * @param sharedBytes dynamic shared memory of a block
     */
    record Grid(int x, int y, int z, int threadsX, int threadsY, int threadsZ, int sharedBytes) {
        /** So many blocks of so many threads in a row. */
        public static Grid of(int blocks, int threads) {
            return new Grid(blocks, 1, 1, threads, 1, 1, 0);
        }

        /**
         * Enough blocks that there is a thread for each of {@code work} items, but not more than 2^20: kernels stride by the grid's size.
         */
        public static Grid covering(long work, int threads) {
            return of((int) Math.min((work + threads - 1) / threads, 1 << 20), threads);
        }

        /** A plane or a box of blocks. */
        public Grid blocks(int x, int y, int z) {
            return new Grid(x, y, z, threadsX, threadsY, threadsZ, sharedBytes);
        }

        /** Blocks whose threads form a plane or a box. */
        public Grid threads(int x, int y, int z) {
            return new Grid(this.x, this.y, this.z, x, y, z, sharedBytes);
        }

        /** The same launch with dynamic shared memory. */
        public Grid shared(int bytes) {
            return new Grid(x, y, z, threadsX, threadsY, threadsZ, bytes);
        }

        /** Whether nothing runs. */
        public boolean isEmpty() {
            return x == 0 || y == 0 || z == 0;
        }
    }

    /** Memory for intermediate results; closing it twice is harmless. */
    interface Scratch extends AutoCloseable {
        /** Its size. */
        long bytes();

        @Override
        void close();
    }

    /**
     * Layout of a tensor.
     *
     * @param strides distance of neighbours along each axis, in elements; 0 along a broadcast axis, never negative
     * @param contiguous whether the strides are those of a row-major tensor without gaps
     */
    record View(long[] strides, boolean contiguous) {}
}
