package dev.sequent.onednn;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A compiled product of one shape. Thread-safe: each running call takes a frame of its own, and {@link #release} by the last owner
 * destroys the native objects.
 */
final class MatmulPrimitive {
    private static final int SOURCE = 1;
    private static final int TARGET = 17;
    private static final int WEIGHTS = 33;
    private static final int SCRATCHPAD = 80;
    private static final int ARGUMENTS = 4;
    private static final int ARGUMENT_BYTES = 16;

    /**
     * Everything that oneDNN compiles into a product.
     *
     * @param type type of A and B, as oneDNN numbers it
     * @param rounded whether F32 operands are rounded to BF16
     * @param add whether the product is added to C
     */
    record Form(int type, boolean rounded, boolean ta, boolean tb, int m, int n, int k, long lda, long ldb, long ldc, boolean add) {}

    private final Dnnl dnnl;
    private final MemorySegment engine;
    private final MemorySegment descriptor;
    private final MemorySegment primitive;
    private final MemorySegment[] operands;
    private final long scratchBytes;
    private final ConcurrentLinkedQueue<Frame> frames = new ConcurrentLinkedQueue<>();
    private final AtomicInteger owners = new AtomicInteger(1);

    MatmulPrimitive(Dnnl dnnl, MemorySegment engine, Form form) {
        this.dnnl = dnnl;
        this.engine = engine;
        List<Runnable> undo = new ArrayList<>();
        try {
            MemorySegment a = dnnl.matrix(form.m, form.k, form.type, form.ta ? 1 : form.lda, form.ta ? form.lda : 1);
            undo.add(() -> dnnl.destroyDescriptor(a));
            MemorySegment b = dnnl.matrix(form.k, form.n, form.type, form.tb ? 1 : form.ldb, form.tb ? form.ldb : 1);
            undo.add(() -> dnnl.destroyDescriptor(b));
            MemorySegment c = dnnl.matrix(form.m, form.n, Dnnl.F32, form.ldc, 1);
            undo.add(() -> dnnl.destroyDescriptor(c));
            MemorySegment attributes = dnnl.attributes(form.add, form.rounded);
            try {
                descriptor = dnnl.matmulDescriptor(engine, a, b, c, attributes);
            } finally {
                dnnl.destroyAttributes(attributes);
            }
            undo.add(() -> dnnl.destroyPrimitiveDescriptor(descriptor));
            primitive = dnnl.primitive(descriptor);
            undo.add(() -> dnnl.destroyPrimitive(primitive));
            // The descriptor of the scratch memory belongs to the primitive's descriptor, and comes last.
            operands = new MemorySegment[] {a, b, c, dnnl.scratchpad(descriptor)};
            scratchBytes = dnnl.bytes(operands[ARGUMENTS - 1]);
        } catch (RuntimeException e) {
            undo.reversed().forEach(Runnable::run);
            throw e;
        }
    }

    /** Arguments of one running call. */
    private record Frame(MemorySegment[] memories, MemorySegment arguments) {}

    private Frame newFrame() {
        int[] names = {SOURCE, WEIGHTS, TARGET, SCRATCHPAD};
        // Collected with the frame; oneDNN keeps no reference to it.
        MemorySegment arguments = Arena.ofAuto().allocate((long) ARGUMENTS * ARGUMENT_BYTES, 8);
        MemorySegment[] memories = new MemorySegment[ARGUMENTS];
        int made = 0;
        try {
            for (; made < ARGUMENTS; made++) {
                memories[made] = dnnl.memory(operands[made], engine);
                arguments.set(JAVA_INT, (long) made * ARGUMENT_BYTES, names[made]);
                arguments.set(ADDRESS, (long) made * ARGUMENT_BYTES + 8, memories[made]);
            }
        } catch (RuntimeException failure) {
            for (int i = 0; i < made; i++) {
                dnnl.destroyMemory(memories[i]);
            }
            throw failure;
        }
        return new Frame(memories, arguments);
    }

    /** Bytes of scratch memory that {@link #run} needs. */
    long scratchBytes() {
        return scratchBytes;
    }

    void run(MemorySegment stream, MemorySegment a, MemorySegment b, MemorySegment c, MemorySegment scratch) {
        Frame frame = frames.poll();
        if (frame == null) {
            frame = newFrame();
        }
        try {
            dnnl.setData(frame.memories[0], a);
            dnnl.setData(frame.memories[1], b);
            dnnl.setData(frame.memories[2], c);
            dnnl.setData(frame.memories[3], scratch);
            dnnl.execute(primitive, stream, ARGUMENTS, frame.arguments);
        } finally {
            frames.add(frame);
        }
    }

    /** Becomes another owner; false when the product is being destroyed. */
    boolean retain() {
        while (true) {
            int count = owners.get();
            if (count == 0) {
                return false;
            }
            if (owners.compareAndSet(count, count + 1)) {
                return true;
            }
        }
    }

    void release() {
        if (owners.decrementAndGet() > 0) {
            return;
        }
        for (Frame frame : new ArrayList<>(frames)) {
            for (MemorySegment memory : frame.memories) {
                dnnl.destroyMemory(memory);
            }
        }
        frames.clear();
        dnnl.destroyPrimitive(primitive);
        dnnl.destroyPrimitiveDescriptor(descriptor);
        for (int i = 0; i < ARGUMENTS - 1; i++) {
            dnnl.destroyDescriptor(operands[i]);
        }
    }
}
