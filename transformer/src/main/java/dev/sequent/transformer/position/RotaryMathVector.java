package dev.sequent.transformer.position;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** {@link RotaryMath} in vector instructions. */
final class RotaryMathVector implements RotaryMath {
    private static final VectorSpecies<Float> F = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    @Override
    public void rotate(MemorySegment x, MemorySegment y, RotaryTable table, int at, int half, int width, float sign) {
        float[] cosines = table.cos();
        float[] sines = table.sin();
        int main = F.loopBound(half);
        for (int i = 0; i < main; i += F.length()) {
            FloatVector a = FloatVector.fromMemorySegment(F, x, i * 4L, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(F, x, (half + i) * 4L, ORDER);
            FloatVector cos = FloatVector.fromArray(F, cosines, at + i);
            FloatVector sin = FloatVector.fromArray(F, sines, at + i).mul(sign);
            a.mul(cos).sub(b.mul(sin)).intoMemorySegment(y, i * 4L, ORDER);
            b.mul(cos).add(a.mul(sin)).intoMemorySegment(y, (half + i) * 4L, ORDER);
        }
        RotaryMathScalar.pairs(x, y, table, at, main, half, sign);
        if (width > 2 * half) {
            MemorySegment.copy(x, half * 8L, y, half * 8L, (width - 2L * half) * 4);
        }
    }
}
