package dev.sequent.fused.optim;

import dev.sequent.fused.DeviceTensors;
import dev.sequent.spi.DeviceCode;
import dev.sequent.spi.DeviceCode.Grid;
import dev.sequent.spi.DeviceCode.Source;
import dev.sequent.tensor.Tensor;
import dev.sequent.type.DType;
import dev.sequent.type.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** {@link OptimizerKernel} in device code: {@code optimizer.cu}, one launch for up to {@value #COUNT} tensors of a dtype. Thread-safe. */
final class OptimizerCuda implements OptimizerKernel {
    private static final int THREADS = 256;
    private static final int COUNT = 48;
    private static final int CHUNK = 4096;

    private final DeviceTensors device;

    OptimizerCuda(DeviceTensors device) {
        this.device = device;
    }

    /** The program for a dtype. */
    static Source source(DType dtype) {
        String t = "<" + DeviceTensors.type(dtype) + ">";
        return DeviceTensors.source(OptimizerCuda.class, "optimizer", "adamw" + t, "sgd" + t, "sum_squares" + t, "add_sums<double>");
    }

    private DeviceCode.Function function(Tensor x, String name) {
        return device.function(x, x.dtype(), () -> source(x.dtype()), name);
    }

    @Override
    public String name() {
        return "optimizer/cuda";
    }

    @Override
    public Optional<String> refusal(Tensor x, boolean changed) {
        return DeviceTensors.refusal(x).or(() -> changed && !device.isDense(x) ? Optional.of("not laid out densely") : Optional.empty());
    }

    /** Up to {@link #COUNT} tensors of one dtype, by their places in the list. */
    private final class Group {
        final int[] at;
        final long[] sizes = new long[COUNT];
        final int[] starts = new int[COUNT];
        final int chunks;

        Group(List<Integer> places, List<Tensor> tensors) {
            at = places.stream().mapToInt(Integer::intValue).toArray();
            int chunk = 0;
            for (int i = 0; i < at.length; i++) {
                sizes[i] = tensors.get(at[i]).size();
                starts[i] = chunk;
                chunk = Math.addExact(chunk, Math.toIntExact(Math.ceilDiv(sizes[i], CHUNK)));
            }
            Arrays.fill(starts, at.length, COUNT, chunk);
            chunks = chunk;
        }

        Tensor[] pointers(List<List<Tensor>> lists) {
            Tensor[] pointers = new Tensor[COUNT * lists.size()];
            for (int list = 0; list < lists.size(); list++) {
                for (int i = 0; i < at.length && lists.get(list) != null; i++) {
                    pointers[list * COUNT + i] = device.dense(lists.get(list).get(at[i]));
                }
            }
            return pointers;
        }
    }

    /** Tensors of one dtype, of which all that are changed have that dtype, in groups; empty tensors are left out. */
    private List<Group> groups(List<Tensor> tensors) {
        Map<DType, List<Integer>> byType = new LinkedHashMap<>();
        for (int i = 0; i < tensors.size(); i++) {
            if (tensors.get(i).size() > 0) {
                byType.computeIfAbsent(tensors.get(i).dtype(), _ -> new ArrayList<>()).add(i);
            }
        }
        List<Group> groups = new ArrayList<>();
        for (List<Integer> places : byType.values()) {
            for (int i = 0; i < places.size(); i += COUNT) {
                groups.add(new Group(places.subList(i, Math.min(places.size(), i + COUNT)), tensors));
            }
        }
        return groups;
    }

    private void step(String name, float[][] factors, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> first,
        List<Tensor> second) {
        for (Group group : groups(parameters)) {
            float[] own = new float[COUNT * factors[0].length];
            for (int i = 0; i < group.at.length; i++) {
                System.arraycopy(factors[group.at[i]], 0, own, i * factors[0].length, factors[0].length);
            }
            device.launch(function(parameters.get(group.at[0]), name), Grid.of(group.chunks, THREADS),
                group.pointers(Arrays.asList(parameters, gradients, first, second)), group.sizes, group.starts, own);
        }
    }

    @Override
    public void adamw(List<AdamWStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> first, List<Tensor> second) {
        step("adamw", steps.stream().map(s -> floats(1 - s.beta1(), 1 - s.beta2(), s.eps(), s.keep(), s.step(), s.root(), s.scale()))
            .toArray(float[][]::new),
            parameters, gradients, first, second);
    }

    @Override
    public void sgd(List<SgdStep> steps, List<Tensor> parameters, List<Tensor> gradients, List<Tensor> velocities) {
        step("sgd", steps.stream().map(s -> floats(s.learningRate(), s.momentum(), s.decay(), s.nesterov() ? 1 : 0, s.scale()))
            .toArray(float[][]::new),
            parameters, gradients, velocities, null);
    }

    private static float[] floats(double... values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < floats.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    @Override
    public double sumSquares(List<Tensor> tensors) {
        List<Group> groups = groups(tensors);
        if (groups.isEmpty()) {
            return 0;
        }
        Tensor like = tensors.getFirst();
        long chunks = groups.stream().mapToLong(g -> g.chunks).sum();
        Tensor sums = device.allocate(like, DType.F64, Shape.of(chunks));
        long first = 0;
        for (Group group : groups) {
            device.launch(function(tensors.get(group.at[0]), "sum_squares"), Grid.of(group.chunks, THREADS),
                group.pointers(List.of(tensors)), group.sizes,
                group.starts, sums, first);
            first += group.chunks;
        }
        Tensor total = device.allocate(like, DType.F64, Shape.of());
        device.launch(function(like, "add_sums"), Grid.of(1, THREADS), sums, chunks, total);
        return total.item();
    }
}
