package dev.sequent.ssm.s4;

import dev.sequent.fused.HostTensors;
import dev.sequent.fused.Simd;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/** {@link DiagonalScanKernel} on tensors in host memory, by {@link DiagonalScanCpu} and {@link DiagonalStepCpu}. */
final class DiagonalScanHost implements DiagonalScanKernel {
    /** Tiles of 64 rows and the coefficients of a block are indexed by int. */
    private static final long LARGEST = 1 << 22;

    private final HostTensors host;
    private final DiagonalScanCpu kernel;
    private final DiagonalStepCpu step;

    DiagonalScanHost(HostTensors host) {
        this.host = host;
        DiagonalTiles tiles = Simd.choose(host.vectorised(), () -> new VectorDiagonalTiles(), () -> new ScalarDiagonalTiles());
        this.kernel = new DiagonalScanCpu(host.parallel(), tiles);
        this.step = new DiagonalStepCpu(host.parallel(), tiles);
    }

    @Override
    public String name() {
        return "diagonal-scan/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(DiagonalScan.Operands x) {
        if (x.u().size() == 0 || x.logDecay().size() == 0) {
            return Optional.of("takes at least one element, given " + x.u().shape() + " and " + x.logDecay().shape());
        }
        if (x.u().dim(2) > LARGEST || x.logDecay().dim(1) > LARGEST) {
            return Optional.of("takes at most " + LARGEST + " channels and pairs, given " + x.logDecay().shape());
        }
        return HostTensors.refusal(x.u());
    }

    private DiagonalInputs inputs(DiagonalScan.Operands x, byte[] flags) {
        return new DiagonalInputs(x.shape(), host.read(x.u()), host.read(x.logStep()), host.read(x.logDecay()), host.read(x.frequency()),
                host.read(x.c()), host.read(x.skip()), host.readOrNull(x.stateRe()), host.readOrNull(x.stateIm()), flags,
                x.discretisation() == DiagonalScan.Discretisation.BILINEAR);
    }

    @Override
    public Tensor[] forward(DiagonalScan.Operands x, byte[] flags, boolean save) {
        DiagonalShape shape = x.shape();
        Shape stateShape = Shape.of(shape.batch(), shape.channels(), shape.pairs());
        Tensor y = host.allocate(x.u());
        Tensor re = host.allocate(x.u(), DType.F32, stateShape);
        Tensor im = host.allocate(x.u(), DType.F32, stateShape);
        if (shape.tokens() == 1 && !save) {
            fill(re, x.stateRe());
            fill(im, x.stateIm());
            step.run(inputs(x, flags), host.read(y), host.read(re), host.read(im), host.scratch(x.u(), step.floats(shape)));
            return new Tensor[] {y, re, im, null};
        }
        Tensor saved = host.allocate(x.u(), DType.F32, Shape.of(kernel.savedFloats(shape, save)));
        kernel.forward(inputs(x, flags), host.read(y), host.read(re), host.read(im), host.read(saved), save,
                host.scratch(x.u(), kernel.forwardFloats(shape)));
        return new Tensor[] {y, re, im, save ? saved : null};
    }

    private void fill(Tensor target, Tensor source) {
        long bytes = target.size() * Float.BYTES; // the memory behind a tensor may be larger
        MemorySegment to = host.read(target).asSlice(0, bytes);
        if (source == null) {
            to.fill((byte) 0);
        } else {
            to.copyFrom(host.read(source).asSlice(0, bytes));
        }
    }

    @Override
    public Tensor step(DiagonalScan.Operands x) {
        Tensor y = host.allocate(x.u());
        step.run(inputs(x, null), host.read(y), host.read(x.stateRe()), host.read(x.stateIm()),
                host.scratch(x.u(), step.floats(x.shape())));
        return y;
    }

    @Override
    public Tensor[] backward(DiagonalScan.Operands x, byte[] flags, Tensor saved, Tensor dy, Tensor dRe, Tensor dIm) {
        Tensor[] operands = x.tensors();
        Tensor[] gradients = new Tensor[operands.length];
        MemorySegment[] out = new MemorySegment[operands.length];
        for (int i = 0; i < operands.length; i++) {
            gradients[i] = operands[i] == null ? null : host.allocate(operands[i]);
            out[i] = host.readOrNull(gradients[i]);
        }
        Tensor gradient = dy != null ? dy : Tensor.zeros(x.u().device(), DType.F32, x.u().shape().toArray());
        kernel.backward(inputs(x, flags), host.read(saved), host.read(gradient), host.readOrNull(dRe), host.readOrNull(dIm),
                new DiagonalGradients(out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7]), host.scratch(x.u(),
                kernel.backwardFloats(x.shape())));
        return gradients;
    }
}
