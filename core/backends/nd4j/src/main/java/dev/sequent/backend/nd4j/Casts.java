package dev.sequent.backend.nd4j;

import dev.sequent.type.DType;

/** Conversions of the element type, by loops of ours: one rule for all pairs of types, NaN and ties included. Thread-safe. */
final class Casts {
    private final Workbench bench;

    Casts(Workbench bench) {
        this.bench = bench;
    }

    Nd4jHandle cast(String op, Nd4jHandle x, DType dtype) {
        if (x.dtype() == dtype) {
            return x.view(x.offset(), x.shape(), x.strides());
        }
        Nd4jHandle y = bench.allocate(op, x.shape(), dtype);
        return bench.produce(y, () -> {
            try (Dense in = bench.dense(op, x); Dense out = bench.dense(op, y)) {
                HostElementwise.cast(in, out);
            }
        });
    }
}
