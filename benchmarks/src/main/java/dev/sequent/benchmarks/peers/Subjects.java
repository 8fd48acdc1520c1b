package dev.sequent.benchmarks.peers;

import dev.sequent.autograd.Autograd;
import dev.sequent.benchmarks.Decoding;
import dev.sequent.benchmarks.KernelSubject;
import dev.sequent.benchmarks.StepModels;
import dev.sequent.cost.Work;
import dev.sequent.cost.Workload;
import dev.sequent.io.TensorFiles;
import dev.sequent.model.LanguageModel;
import dev.sequent.tensor.Device;
import dev.sequent.tensor.Scope;
import dev.sequent.tensor.Tensor;
import dev.sequent.train.AdamW;
import dev.sequent.train.TrainListener;
import dev.sequent.train.Trainer;
import dev.sequent.train.data.TokenBatch;
import dev.sequent.type.DType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** Our side of each kind of comparison. */
final class Subjects {
    private static final int CHECKED = 70;
    private static final int CHECKED_STEPS = 5;
    private static final String LARGE = "large_";
    private static final String BF16 = "_bf16";

    private Subjects() {}

    /** Whether we can run it. */
    static boolean known(Contest c) {
        return switch (c.area()) {
            case "kernel" -> KernelSubject.NAMES.contains(c.subject());
            case "step" -> StepModels.MODELS.contains(c.subject());
            case "decode" -> StepModels.MODELS.contains(c.subject()) || StepModels.LARGE.contains(largeName(c));
            default -> false;
        };
    }

    /**
     * Makes our side.
     *
     * @param products how the device computes products of F32 matrices
     * @throws IllegalStateException when its results are not those of the reference backend
     */
    static Subject of(Contest c, Device device, String products) {
        return switch (c.area()) {
            case "kernel" -> kernel(c, device);
            case "step" -> step(c, device, products);
            case "decode" -> decode(c, device);
            default -> throw new IllegalArgumentException("expected a kernel, a step or decoding, given " + c);
        };
    }

    private static Subject kernel(Contest c, Device device) {
        int time = c.number("time");
        try (Device reference = Device.open("reference")) {
            KernelSubject.check(c.subject(), device, reference, Math.min(time, CHECKED));
        }
        boolean gradient = c.parameters().get("pass").equals("gradient");
        Scope scope = Scope.open();
        return orReleased(scope::close, () -> kernel(c, device, scope, time, gradient));
    }

    /** What {@code make} makes; when it fails, what had been made for it is given back. */
    private static Subject orReleased(Runnable release, Supplier<Subject> make) {
        try {
            return make.get();
        } catch (RuntimeException | Error failure) {
            release.run();
            throw failure;
        }
    }

    private static Subject kernel(Contest c, Device device, Scope scope, int time, boolean gradient) {
        KernelSubject subject = KernelSubject.of(c.subject(), device, time);
        List<Tensor> cotangents = subject.cotangents();
        Runnable forward = () -> Autograd.noGrad(() -> {
            try (Scope _ = Scope.open()) {
                subject.forward();
                device.synchronize();
            }
            return null;
        });
        Runnable both = () -> {
            try (Scope _ = Scope.open()) {
                subject.gradient(cotangents);
                device.synchronize();
            }
        };
        return new Subject("KernelBenchmark." + (gradient ? "gradient" : "forward"), Map.of("kernel", c.subject(), "time", time + ""),
                Map.of("tokens", (double) time, "flops", subject.flops(), "bytes", subject.bytes()), gradient ? both : forward,
                scope::close);
    }

    /** Steps, which return the loss. The peer begins with our weights, in a file. */
    private static Subject step(Contest c, Device device, String products) {
        int batch = c.number("batch");
        int time = c.number("time");
        LanguageModel model = StepModels.create(c.subject(), device);
        return orReleased(model::close, () -> step(c, model, products, batch, time));
    }

    private static Subject step(Contest c, LanguageModel model, String products, int batch, int time) {
        AdamW optimizer = new AdamW(model.namedParameters(), AdamW.Settings.defaults());
        return orReleased(optimizer::close, () -> step(c, model, optimizer, products, batch, time));
    }

    private static Subject step(Contest c, LanguageModel model, AdamW optimizer, String products, int batch, int time) {
        Trainer trainer = StepModels.trainer(model, optimizer, batch, time);
        Work forward = model.work(Workload.forward(batch, time, DType.F32));
        Work backward = model.work(Workload.backward(batch, time, DType.F32));
        double[] loss = new double[1];
        trainer.listen(new TrainListener() {
            @Override
            public void step(Step step) {
                loss[0] = step.loss();
            }
        });
        Path weights = weights(model, StepModels.batch(batch, time));
        Runnable release = () -> {
            optimizer.close();
            model.close();
            delete(weights);
        };
        return new Subject("TrainingStepBenchmark.step", Map.of("model", c.subject(), "time", time + "", "products", products),
                Map.of("tokens", (double) batch * time, "flops", forward.flops(), "bytes", forward.bytes(), "backward.flops",
                        backward.flops(), "backward.bytes", backward.bytes()),
                () -> {
                    trainer.runUntil(trainer.position().step() + 1);
                    return loss[0];
                }, Map.of("weights", weights.toAbsolutePath().toString()), release);
    }

    /** A safetensors file of the model's weights, by checkpoint name, and a batch: {@code inputs} and {@code targets}. */
    private static Path weights(LanguageModel model, TokenBatch batch) {
        try (Scope _ = Scope.open()) {
            Map<String, Tensor> tensors = new LinkedHashMap<>();
            model.namedParameters().forEach((name, p) -> tensors.put(name, p.value()));
            tensors.put("inputs", Tensor.of(model.device(), batch.inputs(), batch.batch(), batch.time()));
            tensors.put("targets", Tensor.of(model.device(), batch.targets(), batch.batch(), batch.time()));
            Path file = Files.createTempFile("step", ".safetensors");
            TensorFiles.save(file, Map.of("format", "pt"), tensors);
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static void delete(Path file) {
        try {
            Files.deleteIfExists(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** The kind of a large model, whose case is called {@code large_KIND}, with BF16 parameters {@code large_KIND_bf16}; else nothing. */
    private static String largeName(Contest c) {
        return c.subject().startsWith(LARGE) ? c.subject().substring(LARGE.length()).replace(BF16, "") : "";
    }

    private static Subject decode(Contest c, Device device) {
        String large = largeName(c);
        DType dtype = c.subject().endsWith(BF16) ? DType.BF16 : DType.F32;
        int context = c.number("context");
        LanguageModel model = large.isEmpty() ? StepModels.create(c.subject(), device) : StepModels.large(large, device, dtype);
        return orReleased(model::close, () -> decode(c, model, large, dtype, context));
    }

    private static Subject decode(Contest c, LanguageModel model, String large, DType dtype, int context) {
        Decoding.check(c.subject(), model, CHECKED_STEPS, StepModels.tolerance(dtype));
        Decoding decoding = new Decoding(model, context);
        Work work = model.work(Workload.decode(1, context, dtype));
        Runnable release = () -> {
            decoding.close();
            model.close();
        };
        Map<String, String> parameters = large.isEmpty() ? Map.of("model", c.subject(), "context", context + "")
                : Map.of("model", large, "dtype", dtype.name(), "context", context + "");
        return new Subject((large.isEmpty() ? "Model" : "Large") + "DecodeBenchmark.token", parameters,
                Map.of("tokens", 1.0, "flops", work.flops(), "bytes", work.bytes(), "state.bytes", (double) decoding.stateBytes(),
                        "parameter.bytes", StepModels.parameterBytes(model)),
                decoding::token, release);
    }
}
