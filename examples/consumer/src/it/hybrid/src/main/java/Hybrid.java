import dev.sequent.generate.*;
import dev.sequent.io.*;
import dev.sequent.model.*;
import dev.sequent.nn.*;
import dev.sequent.ssm.mamba.*;
import dev.sequent.tensor.*;
import dev.sequent.transformer.*;
import java.util.*;

public class Hybrid {
    public static void main(String[] args) {
        LayerSpec mamba = LayerSpec.of(MambaConfig.defaults());
        LayerSpec attention = new LayerSpec(AttentionConfig.of(4), MlpConfig.gated(256));
        List<LayerSpec> layers = LayerPattern.parse("MMAM", Map.of('M', mamba, 'A', attention));
        Tokenizer bytes = new ByteTokenizer();
        try (Device device = Device.openBest();
                LanguageModel model = new LanguageModel(LanguageModelConfig.of(bytes.vocabularySize(), 96, layers), new Init(device, 42))) {
            String text = new Generator(model).text(bytes, "Hello", 20, Sampling.temperature(1, 7), piece -> {});
            System.out.println(model.parameterCount() + " untrained parameters say " + text.length() + " characters");
        }
    }
}
