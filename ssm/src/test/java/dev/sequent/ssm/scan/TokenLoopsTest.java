package dev.sequent.ssm.scan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The loops of one token in vector instructions against their scalar twins, at sizes with and without whole vectors. */
final class TokenLoopsTest {
    private static final int[] SIZES = {1, 3, 16, 17, 63, 100};
    private final TokenLoops scalar = new ScalarTokenLoops();
    private final TokenLoops vector = new VectorTokenLoops();
    private final Random random = new Random(1);

    private float[] numbers(int count, float scale) {
        float[] x = new float[vector.padded(count)];
        java.util.Arrays.fill(x, Float.NaN);
        for (int i = 0; i < count; i++) {
            x[i] = (random.nextFloat() - 0.5f) * scale;
        }
        return x;
    }

    private static void close(float[] expected, float[] actual, int count) {
        for (int i = 0; i < count; i++) {
            float tolerance = Float.isNaN(expected[i]) ? 1 : 1e-5f * Math.max(1, Math.abs(expected[i]));
            assertEquals(expected[i], actual[i], tolerance, "element " + i + " of " + count);
        }
    }

    private MemorySegment segment(Arena arena, float[] x, int count) {
        MemorySegment s = arena.allocate(4L * count, 64);
        MemorySegment.copy(x, 0, s, ValueLayout.JAVA_FLOAT, 0, count);
        return s;
    }

    @Test
    void activationsAgree() {
        for (int count : SIZES) {
            float[] x = numbers(count, 60);
            float[] z = numbers(count, 300);
            float[] y = x.clone();
            scalar.silu(x, count);
            vector.silu(y, count);
            close(x, y, count);
            scalar.gate(x, z, count);
            vector.gate(y, z, count);
            close(x, y, count);
            scalar.softplus(x, count);
            vector.softplus(y, count);
            close(x, y, count);
        }
    }

    @Test
    void notANumberAndInfinityPass() {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, 0f, -0f, 1e30f, -1e30f};
        float[] x = java.util.Arrays.copyOf(special, vector.padded(special.length));
        float[] y = x.clone();
        scalar.silu(x, special.length);
        vector.silu(y, special.length);
        close(x, y, special.length);
        x = java.util.Arrays.copyOf(special, x.length);
        y = x.clone();
        scalar.softplus(x, special.length);
        vector.softplus(y, special.length);
        close(x, y, special.length);
    }

    @Test
    void rateThatIsNotANumberMakesTheStateNotANumber() {
        int states = vector.padded(1) + 3;
        try (Arena arena = Arena.ofConfined()) {
            for (int bits : new int[] {0x7fc00000, 0x7fc00001, 0xffc00155, 0x7f800001}) {
                for (int spoilt : new int[] {2, states - 1}) {
                    MemorySegment logs = segment(arena, numbers(states, 2), states);
                    logs.setAtIndex(ValueLayout.JAVA_INT, spoilt, bits);
                    MemorySegment h = segment(arena, numbers(states, 2), states);
                    float[] sums = new float[vector.padded(1)];
                    vector.select(1, states, numbers(1, 2), numbers(1, 2), logs, numbers(states, 2), numbers(states, 2), h, sums);
                    assertTrue(Float.isNaN(sums[0]));
                    for (int n = 0; n < states; n++) {
                        assertEquals(n == spoilt, Float.isNaN(h.getAtIndex(ValueLayout.JAVA_FLOAT, n)), "state " + n);
                    }
                }
            }
        }
    }

    @Test
    void recurrencesAgree() {
        try (Arena arena = Arena.ofConfined()) {
            for (int states : SIZES) {
                for (int channels : SIZES) {
                    float[] step = numbers(channels, 2);
                    for (int i = 0; i < channels; i++) {
                        step[i] = Math.abs(step[i]) * (i % 5 == 0 ? 100 : 1);
                    }
                    float[] drive = numbers(channels, 2);
                    float[] b = numbers(states, 2);
                    float[] c = numbers(states, 2);
                    float[] h = numbers(channels * states, 2);
                    MemorySegment logs = segment(arena, numbers(channels * states, 6), channels * states);
                    MemorySegment first = segment(arena, h, channels * states);
                    MemorySegment second = segment(arena, h, channels * states);
                    float[] x = new float[vector.padded(channels)];
                    float[] y = new float[vector.padded(channels)];
                    scalar.select(channels, states, step, drive, logs, b, c, first, x);
                    vector.select(channels, states, step, drive, logs, b, c, second, y);
                    close(x, y, channels);
                    scalar.advance(channels, states, 0.7f, 0.3f, drive, b, c, first, x);
                    vector.advance(channels, states, 0.7f, 0.3f, drive, b, c, second, y);
                    close(x, y, channels);
                    close(first.toArray(ValueLayout.JAVA_FLOAT), second.toArray(ValueLayout.JAVA_FLOAT), channels * states);
                }
            }
        }
    }
}
