package dev.sequent.fused.norm;

import dev.sequent.fused.HostTensors;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.Optional;

/** {@link NormKernel} over F32 rows in host memory. Without a derivative 16-bit rows are normalised in F32, and rounded once. */
final class NormCpu implements NormKernel {
    private final HostTensors host;
    private final NormRows kernel;

    NormCpu(HostTensors host) {
        this.host = host;
        this.kernel = NormRows.of(host.vectorised());
    }

    @Override
    public String name() {
        return "norm/" + host.flavour();
    }

    @Override
    public Optional<String> refusal(Tensor x) {
        return HostTensors.refusal(x);
    }

    @Override
    public Optional<String> forwardRefusal(Tensor x) {
        return isHalf(x) ? Optional.empty() : refusal(x);
    }

    private static boolean isHalf(Tensor x) {
        return x.dtype() == DType.BF16 || x.dtype() == DType.F16;
    }

    private Result halfForward(Tensor x, Tensor residual, Tensor weight, Tensor bias, boolean centred, double eps) {
        Tensor sum = residual == null ? null : x.add(residual);
        Tensor wide = (sum == null ? x : sum).cast(DType.F32);
        Result r = forward(wide, null, weight.cast(DType.F32), bias == null ? null : bias.cast(DType.F32), centred, eps);
        return new Result(sum, r.y().cast(x.dtype()), r.mean(), r.rstd());
    }

    @Override
    public Result forward(Tensor x, Tensor residual, Tensor weight, Tensor bias, boolean centred, double eps) {
        if (isHalf(x)) {
            return halfForward(x, residual, weight, bias, centred, eps);
        }
        int rows = HostTensors.rows(x);
        Tensor sum = residual == null ? null : host.allocate(x);
        Tensor y = host.allocate(x);
        Tensor mean = centred ? host.allocate(x, DType.F32, Shape.of(rows)) : null;
        Tensor rstd = host.allocate(x, DType.F32, Shape.of(rows));
        kernel.forward(host.parallel(), new NormRows.Forward(host.read(x), host.readOrNull(residual), host.readOrNull(sum),
                host.read(weight),
            host.readOrNull(bias), host.read(y), host.readOrNull(mean), host.read(rstd), rows, (int) x.dim(-1), (float) eps));
        return new Result(sum, y, mean, rstd);
    }

    @Override
    public Gradients backward(Tensor dy, Tensor dsum, Tensor s, Tensor weight, Tensor mean, Tensor rstd, boolean bias) {
        int rows = HostTensors.rows(s);
        int width = (int) s.dim(-1);
        Tensor ds = host.allocate(s);
        Tensor dweight = host.allocate(weight);
        Tensor dbias = bias ? host.allocate(weight) : null;
        kernel.backward(host.parallel(), new NormRows.Backward(host.read(dy), host.readOrNull(dsum), host.read(s), host.read(weight),
            host.readOrNull(mean), host.read(rstd), host.read(ds), host.read(dweight), host.readOrNull(dbias),
            host.scratch(s, NormRows.scratchFloats(rows, width, bias)), rows, width));
        return new Gradients(ds, dweight, dbias);
    }
}
