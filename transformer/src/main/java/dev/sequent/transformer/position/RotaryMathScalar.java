package dev.sequent.transformer.position;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;

import java.lang.foreign.MemorySegment;

/** {@link RotaryMath} in plain loops. */
final class RotaryMathScalar implements RotaryMath {
    @Override
    public void rotate(MemorySegment x, MemorySegment y, RotaryTable table, int at, int half, int width, float sign) {
        pairs(x, y, table, at, 0, half, sign);
        MemorySegment.copy(x, half * 8L, y, half * 8L, (width - 2L * half) * 4);
    }

    static void pairs(MemorySegment x, MemorySegment y, RotaryTable table, int at, int from, int half, float sign) {
        for (int i = from; i < half; i++) {
            float a = x.get(JAVA_FLOAT_UNALIGNED, i * 4L);
            float b = x.get(JAVA_FLOAT_UNALIGNED, (half + i) * 4L);
            float cos = table.cos()[at + i];
            float sin = table.sin()[at + i] * sign;
            y.set(JAVA_FLOAT_UNALIGNED, i * 4L, a * cos - b * sin);
            y.set(JAVA_FLOAT_UNALIGNED, (half + i) * 4L, b * cos + a * sin);
        }
    }
}
