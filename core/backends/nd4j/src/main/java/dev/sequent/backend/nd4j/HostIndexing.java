package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import dev.sequent.type.ShapeException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Reads and sums at positions that other tensors name, as loops of ours over ND4J's buffers. An index outside the tensor is an error,
 * found before memory is touched. Operands are dense. Thread-safe.
 */
final class HostIndexing {
    private HostIndexing() {}

    /** All indices of a tensor, which must lie in {@code [0, size)}. */
    static long[] indices(String op, Dense index, long size) {
        long[] at = new long[Math.toIntExact(index.size())];
        if (at.length > 0) {
            Elements.load(index.dtype(), index.segment(), 0, at.length, at);
        }
        for (long n : at) {
            if (n < 0 || n >= size) {
                throw new ShapeException(op, "indices in [0, " + size + ")", Long.toString(n));
            }
        }
        return at;
    }

    /** For {@code shape}'s elements in order: their position in a row-major tensor of {@code indexed}, {@code at} replacing the axis. */
    static long[] positions(Shape shape, Shape indexed, int axis, long[] at) {
        long[] strides = indexed.strides();
        long jump = strides[axis];
        strides[axis] = 0;
        long[] positions = new long[at.length];
        long[] coordinate = new long[shape.rank()];
        for (int i = 0; i < at.length; i++) {
            positions[i] = Strides.position(coordinate, strides) + at[i] * jump;
            for (int a = shape.rank() - 1; a >= 0; a--) {
                if (++coordinate[a] < shape.dim(a)) {
                    break;
                }
                coordinate[a] = 0;
            }
        }
        return positions;
    }

    /** Element i of {@code y} becomes element {@code from[i]} of {@code x}. */
    static void gather(Dense x, long[] from, Dense y) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        int bytes = x.dtype().bytes();
        if (bytes == 4) {
            for (int i = 0; i < from.length; i++) {
                out.set(ValueLayout.JAVA_INT_UNALIGNED, 4L * i, in.get(ValueLayout.JAVA_INT_UNALIGNED, 4 * from[i]));
            }
            return;
        }
        for (int i = 0; i < from.length; i++) {
            MemorySegment.copy(in, from[i] * bytes, out, (long) i * bytes, bytes);
        }
    }

    /** Copies slice {@code at[i]} of every outer part of {@code x} to slice i of {@code y}; a slice has {@code inner} elements. */
    static void select(Dense x, long outer, long n, long inner, long[] at, Dense y) {
        MemorySegment in = x.segment();
        MemorySegment out = y.segment();
        long bytes = inner * x.dtype().bytes();
        for (long o = 0; o < outer; o++) {
            for (int i = 0; i < at.length; i++) {
                MemorySegment.copy(in, (o * n + at[i]) * bytes, out, (o * at.length + i) * bytes, bytes);
            }
        }
    }

    /** Adds element i of {@code source} to element {@code to[i]} of {@code y}, in order; floats are rounded once, at the end. */
    static void add(long[] to, Dense source, Dense y) {
        DType dtype = y.dtype();
        int size = Math.toIntExact(y.size());
        if (dtype.isFloat()) {
            double[] sums = new double[size];
            double[] terms = new double[to.length];
            Elements.load(dtype, y.segment(), 0, size, sums);
            Elements.load(dtype, source.segment(), 0, to.length, terms);
            for (int i = 0; i < to.length; i++) {
                sums[(int) to[i]] += terms[i];
            }
            Elements.store(dtype, y.segment(), 0, size, sums);
        } else {
            long[] sums = new long[size];
            long[] terms = new long[to.length];
            Elements.load(dtype, y.segment(), 0, size, sums);
            Elements.load(dtype, source.segment(), 0, to.length, terms);
            for (int i = 0; i < to.length; i++) {
                sums[(int) to[i]] += terms[i];
            }
            Elements.store(dtype, y.segment(), 0, size, sums);
        }
    }

    /**
     * Adds slice i of every outer part of {@code source} to slice {@code at[i]} of {@code y}, in order; floats are rounded once, at the
     * end. A slice has {@code inner} elements, an outer part of {@code y} has {@code n} slices.
     */
    static void addSlices(long outer, int n, int inner, long[] at, Dense source, Dense y) {
        DType dtype = y.dtype();
        int size = Math.multiplyExact(n, inner);
        double[] sums = new double[dtype.isFloat() ? size : 0];
        double[] terms = new double[dtype.isFloat() ? inner : 0];
        long[] exactSums = new long[dtype.isFloat() ? 0 : size];
        long[] exactTerms = new long[dtype.isFloat() ? 0 : inner];
        for (long o = 0; o < outer; o++) {
            if (dtype.isFloat()) {
                Elements.load(dtype, y.segment(), o * size, size, sums);
                for (int i = 0; i < at.length; i++) {
                    Elements.load(dtype, source.segment(), (o * at.length + i) * inner, inner, terms);
                    int to = (int) at[i] * inner;
                    for (int k = 0; k < inner; k++) {
                        sums[to + k] += terms[k];
                    }
                }
                Elements.store(dtype, y.segment(), o * size, size, sums);
            } else {
                Elements.load(dtype, y.segment(), o * size, size, exactSums);
                for (int i = 0; i < at.length; i++) {
                    Elements.load(dtype, source.segment(), (o * at.length + i) * inner, inner, exactTerms);
                    int to = (int) at[i] * inner;
                    for (int k = 0; k < inner; k++) {
                        exactSums[to + k] += exactTerms[k];
                    }
                }
                Elements.store(dtype, y.segment(), o * size, size, exactSums);
            }
        }
    }
}
