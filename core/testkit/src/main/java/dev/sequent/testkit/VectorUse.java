package dev.sequent.testkit;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** Uses each kind of vector operation that kernels consist of, so that the JVM has loaded and linked what they need. Stateless. */
final class VectorUse {
    private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
    private static final VectorSpecies<Short> SHORTS = ShortVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    private VectorUse() {}

    static void run() {
        // of one kind, as tensors are: calls that can only mean one method are inlined, too
        use(Arena.global().allocate(4096, 64));
    }

    private static void use(MemorySegment s) {
        s.setAtIndex(ValueLayout.JAVA_FLOAT, 1, s.getAtIndex(ValueLayout.JAVA_FLOAT, 0) + s.get(ValueLayout.JAVA_FLOAT, 8));
        s.set(ValueLayout.JAVA_FLOAT, 8, 1);
        VectorMask<Float> some = FLOATS.indexInRange(0, 3);
        FloatVector x = FloatVector.fromMemorySegment(FLOATS, s, 0, ORDER);
        FloatVector y = FloatVector.fromMemorySegment(FLOATS, s, 64, ORDER, some).add(FloatVector.broadcast(FLOATS, 2));
        FloatVector z = x.fma(y, x).mul(y).sub(x).div(y).neg().abs().sqrt().add(1).mul(2).sub(3).max(y).min(x);
        z = z.lanewise(VectorOperators.ADD, y, some).lanewise(VectorOperators.MUL, y).lanewise(VectorOperators.NEG, some);
        VectorMask<Float> less = z.compare(VectorOperators.LT, y).and(some).or(x.compare(VectorOperators.GT, 0).not());
        z = z.blend(y, less).blend(1, less.andNot(some)).rearrange(VectorShuffle.iota(FLOATS, 1, 1, true)).withLane(0, z.lane(0));
        z.intoMemorySegment(s, 128, ORDER);
        z.intoMemorySegment(s, 192, ORDER, some);
        FloatVector array = FloatVector.fromArray(FLOATS, new float[FLOATS.length() * 2], 0);
        array.intoArray(new float[FLOATS.length()], 0);
        array.intoArray(new float[FLOATS.length()], 0, some);
        FloatVector.fromArray(FLOATS, new float[FLOATS.length()], 0, some);
        VectorShuffle<Float> turned = VectorShuffle.fromArray(FLOATS, new int[FLOATS.length()], 0);
        FloatVector both = z.rearrange(turned, y).rearrange(turned).add(FloatVector.zero(FLOATS));
        IntVector bits = both.reinterpretAsInts().add(1).and(7).lanewise(VectorOperators.LSHL, 23).lanewise(VectorOperators.LSHR, 2)
                .lanewise(VectorOperators.ASHR, 1).or(1).sub(2).mul(3).neg().max(0).min(5);
        bits = bits.blend(IntVector.broadcast(INTS, 1), bits.compare(VectorOperators.EQ, 1)).lanewise(VectorOperators.XOR, bits);
        FloatVector back = ((FloatVector) bits.convert(VectorOperators.I2F, 0)).add(bits.reinterpretAsFloats());
        bits = (IntVector) back.convert(VectorOperators.F2I, 0);
        IntVector.fromMemorySegment(INTS, s, 0, ORDER).intoMemorySegment(s, 64, ORDER);
        ShortVector narrow = ShortVector.fromMemorySegment(SHORTS, s, 0, ORDER);
        bits = bits.add((IntVector) narrow.convertShape(VectorOperators.ZERO_EXTEND_S2I, INTS, 0))
                .add((IntVector) narrow.convertShape(VectorOperators.S2I, INTS, 0));
        ((ShortVector) bits.convertShape(VectorOperators.I2S, SHORTS, 0)).intoMemorySegment(s, 0, ORDER);
        LongVector wide = LongVector.fromMemorySegment(LongVector.SPECIES_PREFERRED, s, 0, ORDER);
        wide.add(wide).lanewise(VectorOperators.LSHR, 32).mul(wide).intoMemorySegment(s, 0, ORDER);
        if (!less.anyTrue() && bits.lane(0) == back.reduceLanes(VectorOperators.MAX)) {
            s.fill((byte) 0);
        }
    }
}
