package dev.sequent.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sequent.op.Philox;
import dev.sequent.spi.TensorHandle;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Tensors out of nothing: constants, counters, random numbers. */
public interface GenerationContract extends BackendFixture {
    /** Words of block 0 under key 0, as published with Random123. */
    int[] KNOWN_WORDS = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};

    /** Every element has the value, rounded to the dtype. */
    @TestFactory
    default Stream<DynamicTest> fullRepeatsOneValue() {
        return perDType("full", dtype -> true, (w, dtype) -> {
            double[] values = dtype == DType.BOOL ? new double[] {0, 1}
                    : dtype.isFloat() ? new double[] {0, 1, -2.5, 0.1, Double.NaN, Double.NEGATIVE_INFINITY}
                            : new double[] {0, -7, 1 << 20};
            for (Shape shape : BackendFixture.shapes()) {
                for (double value : values) {
                    HostTensor expected = dtype.isFloat()
                            ? HostTensor.floats(shape, dtype, i -> HostTensor.round(value, dtype))
                            : HostTensor.integers(shape, dtype, i -> (long) value);
                    BackendFixture.describe(value + " " + shape, () -> w.expect(expected, w.backend().full(shape, dtype, value, 0)));
                }
            }
        });
    }

    /** 0, 1, 2, ... in every numeric dtype. */
    @TestFactory
    default Stream<DynamicTest> iotaCounts() {
        return perDType("iota", dtype -> dtype != DType.BOOL, (w, dtype) -> {
            for (int n : new int[] {0, 1, 3, 17, 63, 100, 256}) {
                HostTensor expected = dtype.isFloat()
                        ? HostTensor.floats(Shape.of(n), dtype, i -> i) : HostTensor.integers(Shape.of(n), dtype, i -> i);
                w.expect(expected, w.backend().iota(n, dtype, 0));
            }
            if (dtype != DType.F16 && dtype != DType.BF16) {
                HostTensor x = w.download(w.keep(w.backend().iota(70_001, dtype, 0)));
                assertThat(x.number(70_000)).isEqualTo(70_000);
            }
        });
    }

    /** The published known answers of the generator, as fractions. */
    @TestFactory
    default Stream<DynamicTest> randomUniformIsPhilox() {
        return perDType("known answers", dtype -> dtype == DType.F32 || dtype == DType.F64, (w, dtype) -> {
            HostTensor expected = HostTensor.floats(Shape.of(4), dtype, i -> (KNOWN_WORDS[i] >>> 8) / 16_777_216.0);
            w.expect(expected, w.backend().randomUniform(Shape.of(4), dtype, 0, 0, 0));
        });
    }

    /** Bits of every element, for keys and offsets that reach every word of key and counter, rounded toward zero. */
    @TestFactory
    default Stream<DynamicTest> randomUniformHasTheSameBitsEverywhere() {
        return perDType("bits", DType::isFloat, (w, dtype) -> {
            long[] seeds = {0, 1, -1, 0x1234_5678_9ABC_DEF0L, Long.MIN_VALUE};
            long[] offsets = {0, 1, 2, 3, 4, 1_000_003, (1L << 34) - 2, 1L << 40};
            for (long seed : seeds) {
                for (long offset : offsets) {
                    for (Shape shape : new Shape[] {Shape.of(), Shape.of(0), Shape.of(1), Shape.of(3), Shape.of(17), Shape.of(7, 9),
                            Shape.of(100)}) {
                        HostTensor expected = HostTensor.floats(shape, dtype, i -> uniform(dtype, seed, offset + i));
                        BackendFixture.describe("seed " + seed + " offset " + offset + " " + shape,
                                () -> w.expect(expected, w.backend().randomUniform(shape, dtype, seed, offset, 0)));
                    }
                }
            }
            HostTensor large = HostTensor.floats(Shape.of(70_001), dtype, i -> uniform(dtype, 42, 5 + i));
            w.expect(large, w.backend().randomUniform(large.shape(), dtype, 42, 5, 0));
        });
    }

    private static double uniform(DType dtype, long seed, long n) {
        int[] words = new int[Philox.WORDS];
        Philox.block(seed, n / 4, words);
        double value = (words[(int) (n % 4)] >>> 8) / 16_777_216.0;
        double rounded = HostTensor.round(value, dtype);
        // toward zero: where the nearest is above, the pattern before it
        return rounded <= value ? rounded : dtype == DType.F16
                ? Float.float16ToFloat((short) (Float.floatToFloat16((float) rounded) - 1))
                : Float.intBitsToFloat(HostTensor.bfloat16((float) rounded) - 1 << 16);
    }

    /** All numbers lie in [0, 1), even after rounding to few bits, and look uniform. */
    @TestFactory
    default Stream<DynamicTest> randomUniformStaysBelowOne() {
        return perDType("range", DType::isFloat, (w, dtype) -> {
            TensorHandle handle = w.keep(w.backend().randomUniform(Shape.of(40_000), dtype, 3, 0, 0));
            HostTensor x = w.download(handle);
            double sum = 0;
            for (int i = 0; i < x.size(); i++) {
                assertThat(x.number(i)).isGreaterThanOrEqualTo(0).isLessThan(1);
                sum += x.number(i);
            }
            // five standard errors of the mean, and half a unit of BF16 for the rounding toward zero
            assertThat(sum / x.size()).isBetween(0.5 - 5 / Math.sqrt(12 * 40_000.0) - 0x1p-9, 0.5 + 5 / Math.sqrt(12 * 40_000.0));
        });
    }
}
