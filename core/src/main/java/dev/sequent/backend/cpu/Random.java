package dev.sequent.backend.cpu;

import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Uniform numbers from the counter-based generator. Thread-safe. */
final class Random {
    private static final ValueLayout.OfFloat F = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort H = ValueLayout.JAVA_SHORT_UNALIGNED;

    private final Machine machine;

    Random(Machine machine) {
        this.machine = machine;
    }

    CpuHandle uniform(Shape shape, DType dtype, long seed, long offset) {
        CpuHandle y = machine.allocate("randomUniform", shape, dtype);
        return machine.produce(y, () -> {
            if (dtype == DType.F32) {
                machine.range(shape.size(), Machine.GRAIN, (from, to) -> machine.kernels()
                        .uniform(seed, offset + from, y.memory(), y.offset() + from * 4, (int) (to - from)));
            } else {
                machine.range(shape.size(), Machine.ROW, (from, to) -> staged(seed, offset + from, y, from, (int) (to - from)));
            }
        });
    }

    private void staged(long seed, long first, CpuHandle y, long from, int n) {
        Machine.Scratch scratch = machine.scratch();
        try {
            MemorySegment u = scratch.f32(0);
            machine.kernels().uniform(seed, first, u, 0, n);
            int bytes = y.dtype().bytes();
            for (int i = 0; i < n; i++) {
                float value = u.get(F, 4L * i);
                long at = y.offset() + (from + i) * bytes;
                switch (y.dtype()) {
                    case BF16 -> y.memory().set(H, at, (short) (Float.floatToRawIntBits(value) >>> 16));
                    case F16 -> y.memory().set(H, at, truncate(value));
                    case F64, F32, I64, I32, BOOL -> Elements.set(y.dtype(), y.memory(), at, value);
                }
            }
        } finally {
            machine.give(scratch);
        }
    }

    /** The greatest F16 that is not above a non-negative {@code value}. */
    private static short truncate(float value) {
        short nearest = Float.floatToFloat16(value);
        return Float.float16ToFloat(nearest) > value ? (short) (nearest - 1) : nearest;
    }
}
