package dev.sequent.backend.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.op.BinaryOp;
import dev.sequent.op.CompareOp;
import dev.sequent.op.ReduceOp;
import dev.sequent.op.UnaryOp;
import dev.sequent.type.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The vector kernels against the scalar ones, for every length of rows around a vector's, with guards around the results. */
class KernelsTest {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int[] LENGTHS = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257};
    private static final int ROOM = 20_000;
    private static final int START = 12;
    /** What lies around a result must stay. */
    private static final byte GUARD = (byte) 0xFF;

    private final Kernels vector = new VectorKernels();
    private final Kernels scalar = new ScalarKernels("test");

    private static MemorySegment floats(long seed, double scale) {
        MemorySegment x = Arena.ofAuto().allocate(ROOM, 64);
        Random random = new Random(seed);
        for (int i = 0; i < ROOM / 4; i++) {
            x.set(F, 4L * i, (float) (random.nextGaussian() * scale));
        }
        return x;
    }

    /** Runs {@code body} on both kernels and compares all that they wrote, guards included. */
    private void compare(String what, double tolerance, BiConsumer<Kernels, MemorySegment> body) {
        MemorySegment expected = Arena.ofAuto().allocate(ROOM, 64).fill(GUARD);
        MemorySegment actual = Arena.ofAuto().allocate(ROOM, 64).fill(GUARD);
        body.accept(scalar, expected);
        body.accept(vector, actual);
        if (expected.mismatch(actual) < 0) {
            return;
        }
        for (long at = 0; at < ROOM; at += 4) {
            float e = expected.get(F, at);
            float a = actual.get(F, at);
            boolean isClose = e == a || Float.isNaN(e) && Float.isNaN(a) || Math.abs(e - a) <= tolerance * (Math.abs(e) + 1e-2);
            assertThat(isClose).as(what + " at byte " + at + ": expected " + e + ", given " + a).isTrue();
        }
    }

    @ParameterizedTest
    @EnumSource(UnaryOp.class)
    void unaryRowsAgree(UnaryOp op) {
        // GELU's error is relative to its argument, not to its value, which is much smaller on the negative side
        double tolerance = op == UnaryOp.GELU ? 1e-4 : 3e-6;
        for (int n : LENGTHS) {
            for (double scale : new double[] {0.1, 3, 60}) {
                MemorySegment x = floats(n, scale);
                compare(op + " " + n, tolerance, (k, y) -> k.unary(op, x, START, y, START, n));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(BinaryOp.class)
    void binaryRowsAgreeAlsoInPlace(BinaryOp op) {
        MemorySegment a = floats(1, 1);
        MemorySegment b = floats(2, 1);
        for (int n : LENGTHS) {
            compare(op + " " + n, 1e-6, (k, y) -> k.binary(op, a, START, b, 8, y, START, n));
            compare(op + " in place " + n, 1e-6, (k, y) -> {
                y.copyFrom(a);
                k.binary(op, y, START, b, 8, y, START, n);
            });
            compare(op + " scalar " + n, 1e-6, (k, y) -> k.binaryScalar(op, a, START, 2f, false, y, START, n));
            compare(op + " scalar first " + n, 1e-6, (k, y) -> k.binaryScalar(op, a, START, 2f, true, y, START, n));
        }
    }

    @ParameterizedTest
    @EnumSource(CompareOp.class)
    void comparisonsAgree(CompareOp op) {
        MemorySegment a = floats(1, 1);
        MemorySegment b = floats(2, 1);
        for (int i = 0; i < 100; i += 3) {
            b.set(F, 4L * i, a.get(F, 4L * i));
            a.set(F, 16L * i, Float.NaN);
        }
        for (int n : LENGTHS) {
            compare(op + " " + n, 0, (k, y) -> k.compare(op, a, START, b, START, y, 3, n));
        }
    }

    @ParameterizedTest
    @EnumSource(ReduceOp.class)
    void reductionsAgree(ReduceOp op) {
        MemorySegment x = floats(1, 1);
        for (int n : LENGTHS) {
            for (int rows : new int[] {1, 3, 4, 9}) {
                compare(op + " of rows " + n, 2e-5, (k, y) -> k.reduceRows(op, x, START, n * 4L + 8, rows, n, y, START));
                compare(op + " of columns " + n, 2e-5, (k, y) -> {
                    k.fill((float) op.identity(), y, START, n);
                    k.accumulateRows(op, x, START, n * 4L + 8, rows, y, START, n);
                });
            }
        }
    }

    @Test
    void conversionsAreExact() {
        MemorySegment x = floats(1, 1);
        MemorySegment flags = Arena.ofAuto().allocate(ROOM);
        MemorySegment other = floats(2, 1);
        x.set(F, START, Float.NaN);
        x.set(F, START + 8, Float.POSITIVE_INFINITY);
        for (int i = 0; i < ROOM; i += 3) {
            flags.set(ValueLayout.JAVA_BYTE, i, (byte) 1);
        }
        for (int n : LENGTHS) {
            for (DType half : new DType[] {DType.BF16, DType.F16}) {
                compare("narrow " + half + n, 0, (k, y) -> k.narrow(half, x, START, y, START, n));
                compare("widen " + half + n, 0, (k, y) -> k.widen(half, x, START, y, START, n));
            }
            compare("widen BOOL " + n, 0, (k, y) -> k.widen(DType.BOOL, flags, START, y, START, n));
            compare("select " + n, 0, (k, y) -> k.select(flags, 5, x, START, other, 8, y, START, n));
            compare("fill " + n, 0, (k, y) -> k.fill(1.5f, y, START, n));
        }
    }

    @Test
    void movesAreExact() {
        MemorySegment x = floats(1, 1);
        for (int n : LENGTHS) {
            compare("reverse " + n, 0, (k, y) -> k.reverse(x, START + 4L * n, y, START, n));
            compare("copy " + n, 0, (k, y) -> k.copyRows(x, START, 4L * n + 8, y, START, 4L * n + 4, 7, n));
            compare("expand " + n, 0, (k, y) -> k.expand(x, START, 4L * n + 4, false, 13, n, y, START));
            compare("repeat " + n, 0, (k, y) -> k.expand(x, START, 12, true, 13, n, y, START));
        }
        for (int n : new int[] {1, 15, 16, 17, 40}) {
            for (int m : new int[] {1, 15, 16, 33, 50}) {
                compare("transpose " + n + " " + m, 0, (k, y) -> k.transpose(x, START, 4L * n + 4, y, START, 4L * m + 8, n, m));
            }
        }
    }

    @Test
    void uniformNumbersAreTheSameBits() {
        for (int n : LENGTHS) {
            for (long first : new long[] {0, 1, 3, 4, 1001, Long.MAX_VALUE - 2000, -5}) {
                compare("uniform " + first + " " + n, 0, (k, y) -> k.uniform(0x123456789ABCDEFL, first, y, START, n));
            }
        }
    }
}
